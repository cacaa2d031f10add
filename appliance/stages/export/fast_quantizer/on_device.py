"""The same arithmetic in torch operations over many blocks at once, on the device where the blocks are.

Every operation stands alone, so nothing is fused, and every small block's sums are added one value after the other as ggml does it: the
bytes are the same. Values lie as (place in the small block, small block), so one addition serves all blocks; divisors are tensors, because
a GPU multiplies by the reciprocal of a plain number.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from appliance.stages.export.fast_quantizer.searches import Search

SUPER = 256
SCALE_TOP = 63
ALMOST_ZERO = float(np.float32(1e-15))


def quantize(rows: Tensor, importance: Tensor | None, search: Search | None) -> Tensor:
    """Blocks (count, 256) f32 into their bytes (count, bytes); ``importance`` is one weight per column of a row.

    ``search`` is what Q4_K and Q5_K try; None means Q6_K.
    """
    weights = None if importance is None else importance.reshape(-1, SUPER).repeat(len(rows) * SUPER // len(importance), 1)
    return _symmetric(rows, weights) if search is None else _affine(rows, weights, search)


def _nearest(values: Tensor) -> Tensor:
    """The nearest integer by ggml's trick, see ``lanes.nearest``; 0 for NaN, whose bits a GPU chooses differently from a processor."""
    return torch.where(values.isnan(), 0, ((values + 12582912.0).view(torch.int32) & 0x7FFFFF) - 0x400000)


def _level(values: Tensor, lowest: int, highest: int) -> Tensor:
    return _nearest(values).clamp_(lowest, highest)


def _root(values: Tensor) -> Tensor:
    """Rounded correctly, as C's ``sqrtf`` is and torch's square root of f32 is not."""
    return values.double().sqrt_().float()


def _sum(terms: Tensor) -> Tensor:
    """Over the first dimension, one after the other."""
    total = torch.zeros_like(terms[0])
    for term in terms:
        total += term
    return total


def _small(values: Tensor, size: int) -> Tensor:
    """(blocks, 256) as (size, blocks · 256 / size)."""
    return values.reshape(-1, size).T.contiguous()


def _number(like: Tensor, value: float) -> Tensor:
    return torch.tensor(value, dtype=torch.float32, device=like.device)


# ── Q4_K and Q5_K ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _affine(rows: Tensor, importance: Tensor | None, search: Search) -> Tensor:
    top, low, step, steps = search
    x = _small(rows, 32)
    if importance is None:
        weights = _root(_sum(x * x) / _number(x, 32)) + x.abs()
    else:
        square = _number(x, 2) * _sum((rows * rows).T) / _number(x, SUPER)
        weights = _small(importance * _root(square[:, None] + rows * rows), 32)
    tried = [float(low + step * np.float32(number) + np.float32(top)) for number in range(steps + 1)]
    scale, minimum, found = _affine_search(x, weights, top, tried)
    scales, minima = scale.view(-1, 8), minimum.view(-1, 8)
    if importance is None:
        d, at = _by_largest(scales)
        dmin, at_minimum = _by_largest(minima)
    else:
        heavy = _sum(weights).view(-1, 8)
        d, at = _by_weight(scales, heavy)
        dmin, at_minimum = _by_weight(minima, heavy)
    d, dmin = d.half(), dmin.half()
    final = (d.float()[:, None] * at).view(-1)
    shift = (dmin.float()[:, None] * at_minimum).view(-1)
    levels = torch.where(final == 0, found, _level((x + shift) / final, 0, top))
    return _affine_bytes(d, dmin, at, at_minimum, levels.T.reshape(-1, SUPER), top)


def _affine_search(x: Tensor, weights: Tensor, top: int, tried: list[float]) -> tuple[Tensor, Tensor, Tensor]:
    """Scale, minimum and levels of every small block; the minimum moves as better ones are found."""
    minimum, maximum = x.amin(0).clamp_(max=0), x.amax(0)
    flat = maximum == minimum
    total, total_x = _sum(weights), _sum(weights * x)
    inverse = _number(x, top) / (maximum - minimum)
    scale = _number(x, 1) / inverse
    found = _level(inverse * (x - minimum), 0, top)
    best = _sum(weights * (scale * found + minimum - x).square_())
    for wanted in tried:
        at = _level(_number(x, wanted) / (maximum - minimum) * (x - minimum), 0, top)
        weighted = weights * at
        sum_l, sum_l2, sum_xl = _sum(weighted), _sum(weighted * at), _sum(weighted * x)
        determinant = total * sum_l2 - sum_l * sum_l
        slope = (total * sum_xl - total_x * sum_l) / determinant
        offset = (sum_l2 * total_x - sum_l * sum_xl) / determinant
        slope = torch.where(offset > 0, sum_xl / sum_l2, slope)
        offset = torch.where(offset > 0, 0, offset)
        error = _sum(weights * (slope * at + offset - x).square_())
        better = (determinant > 0) & (error < best)
        best, scale, minimum = torch.where(better, error, best), torch.where(better, slope, scale), torch.where(better, offset, minimum)
        found = torch.where(better, at, found)
    return torch.where(flat, 0, scale), -minimum, torch.where(flat, 0, found)


def _by_largest(values: Tensor) -> tuple[Tensor, Tensor]:
    """Numbers ≥ 0 (blocks, 8) as multiples of the largest / 63, without importance."""
    largest = values.amax(1).clamp_(min=0) + 0.0  # -0 becomes 0
    inverse = torch.where(largest > 0, _number(values, SCALE_TOP) / largest, 0)
    return largest / _number(values, SCALE_TOP), (_nearest(inverse[:, None] * values) & 0xFF).clamp_(max=SCALE_TOP)


def _by_weight(values: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Numbers ≥ 0 (blocks, 8) as multiples of a number with the least weighted error."""
    x, w = values.T, weights.T
    largest = x.amax(0).clamp_(min=0) + 0.0
    inverse = _number(x, SCALE_TOP) / largest
    difference = x - _number(x, 1) / inverse * (_nearest(inverse * x) & 0xFF)
    best = _sum(w * difference * difference)
    for number in (-4, -3, -2, -1, 1, 2, 3, 4):
        tried = _number(x, float(np.float32(0.1) * np.float32(number) + np.float32(SCALE_TOP))) / largest
        difference = x - _number(x, 1) / tried * _nearest(tried * x).clamp_(max=SCALE_TOP)
        error = _sum(w * difference * difference)
        best, inverse = torch.where(error < best, error, best), torch.where(error < best, tried, inverse)
    d, at = _settled(x, w, _nearest(inverse * x).clamp_(max=SCALE_TOP))
    empty = largest < ALMOST_ZERO
    return torch.where(empty, 0, d), torch.where(empty, 0, at).T


def _settled(x: Tensor, w: Tensor, near: Tensor) -> tuple[Tensor, Tensor]:
    """Move single levels while that makes the fit better; a round without a change changes nothing, so five do for all blocks."""
    sum_xl, sum_l2 = _sum(w * x * near), _sum(w * near * near)
    at = near & 0xFF
    for _ in range(5):
        for j in range(8):
            old = at[j]
            rest_xl, rest_l2 = sum_xl - w[j] * x[j] * old, sum_l2 - w[j] * old * old
            new = _nearest(x[j] * rest_l2 / rest_xl).clamp_(max=SCALE_TOP)
            moved = (rest_xl > 0) & (rest_l2 > 0) & (new != old)
            new_xl, new_l2 = rest_xl + w[j] * x[j] * new, rest_l2 + w[j] * new * new
            moved &= new_xl * new_xl * sum_l2 > sum_xl * sum_xl * new_l2
            at[j] = torch.where(moved, new & 0xFF, old)
            sum_xl, sum_l2 = torch.where(moved, new_xl, sum_xl), torch.where(moved, new_l2, sum_l2)
    return torch.where(sum_l2 > 0, sum_xl / sum_l2, 0), at


def _affine_bytes(d: Tensor, dmin: Tensor, at: Tensor, at_minimum: Tensor, levels: Tensor, top: int) -> Tensor:
    """f16 scale and minimum, 12 bytes of 6-bit numbers, fifth bits for Q5_K, nibbles."""
    a, b, c, e = at[:, :4], at_minimum[:, :4], at[:, 4:], at_minimum[:, 4:]
    parts = [
        d[:, None].view(torch.uint8),
        dmin[:, None].view(torch.uint8),
        a | (c >> 4 << 6),
        b | (e >> 4 << 6),
        (c & 15) | ((e & 15) << 4),
    ]
    pairs = levels.view(-1, 4, 2, 32)
    if top > 15:
        places = torch.arange(8, device=levels.device, dtype=torch.int32)[:, None]
        parts.append((levels.view(-1, 8, 32) >> 4 << places).sum(1))
    parts.append(((pairs[:, :, 0] & 15) | ((pairs[:, :, 1] & 15) << 4)).reshape(-1, 128))
    return torch.cat([part.to(torch.uint8) for part in parts], 1)


# ── Q6_K ───────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _symmetric(rows: Tensor, importance: Tensor | None) -> Tensor:
    x = _small(rows, 16)
    weights = x * x if importance is None else _small(importance, 16)
    scale, found = _symmetric_search(x, weights)
    scales = scale.view(-1, 16)
    size, place = _first_largest(scales.T)
    empty = size < ALMOST_ZERO
    inverse = _number(x, -128) / scales.gather(1, place[:, None])[:, 0]
    at = _nearest(inverse[:, None] * scales).clamp_(max=127)
    at = torch.where(empty[:, None], 0, at).to(torch.int8)
    d = torch.where(empty, 0, _number(x, 1) / inverse).half()
    final = (d.float()[:, None] * at).view(-1)
    levels = torch.where(final == 0, found, _level(x / final, -32, 31) + 32).T.reshape(-1, SUPER)
    levels = torch.where(empty[:, None], 0, levels).view(-1, 2, 4, 32)
    low, high = levels & 15, levels >> 4
    nibbles = torch.cat([low[:, :, 0] | (low[:, :, 2] << 4), low[:, :, 1] | (low[:, :, 3] << 4)], 2)
    pairs = high[:, :, 0] | (high[:, :, 1] << 2) | (high[:, :, 2] << 4) | (high[:, :, 3] << 6)
    parts = [nibbles.reshape(-1, 128).to(torch.uint8), pairs.reshape(-1, 64).to(torch.uint8), at.view(torch.uint8)]
    return torch.cat([*parts, d[:, None].view(torch.uint8)], 1)


def _symmetric_search(x: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Scale of every small block, and its levels counted from 0."""
    size, place = _first_largest(x)
    extreme = x.gather(0, place[None])[0]
    products = weights * x

    def tried(wanted: float) -> tuple[Tensor, Tensor, Tensor]:
        at = _level(_number(x, wanted) / extreme * x, -32, 31)
        return at, _sum(products * at), _sum(weights * at * at)

    at, sum_xl, sum_l2 = tried(-32.0)
    found = at + 32
    scale = torch.where(sum_l2 != 0, sum_xl / sum_l2, 0)
    best = scale * sum_xl
    for number in range(-9, 10):
        if number == 0:
            continue
        at, sum_xl, sum_l2 = tried(-float(np.float32(32) + np.float32(0.1) * np.float32(number)))
        better = (sum_l2 > 0) & (sum_xl * sum_xl > best * sum_l2)
        scale = torch.where(better, sum_xl / sum_l2, scale)
        best = torch.where(better, scale * sum_xl, best)
        found = torch.where(better, at + 32, found)
    empty = size < ALMOST_ZERO
    return torch.where(empty, 0, scale), torch.where(empty, 0, found)


def _first_largest(values: Tensor) -> tuple[Tensor, Tensor]:
    """The largest size over the first dimension, and the first place where it is; a NaN is never the largest."""
    size = torch.zeros_like(values[0])
    place = torch.zeros_like(values[0], dtype=torch.int64)
    for number, value in enumerate(values):
        larger = value.abs() > size
        size, place = torch.where(larger, value.abs(), size), torch.where(larger, number, place)
    return size, place
