"""Q4_K and Q5_K: x ≈ d · scale · level - dmin · minimum, in small blocks of 32 values; ggml's search, 64 small blocks at a time.

Written after the arithmetic of ``quantize_row_q4_K_ref``, ``quantize_row_q4_K_impl``, ``make_qkx2_quants``, ``make_qkx3_quants`` and
``make_qp_quants`` in ggml-quants.c, and equal to them bit for bit. Without importance the values weigh themselves; with it, the columns do.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from appliance.stages.export.fast_quantizer.lanes import LANES, SUPER, compiled, from_half_bits, half_bits, level, nearest, program, spread

SMALL = 32
COUNT = SUPER // SMALL
GROUP = LANES // COUNT
"""Blocks that are worked on together."""

F32 = np.float32
ZERO, ONE = np.float32(0.0), np.float32(1.0)
SCALE_TOP = 63
"""Scales and minima are stored in 6 bits."""


@program
def quantize(rows: Any, importance: Any, out: Any, top: int, low: Any, step: Any, steps: int) -> None:
    """Blocks (count, 256) f32 into their bytes (count, 144 or 176).

    ``importance`` is one weight per column of a row, or empty. ``top`` is the highest level, 15 or 31; inverse scales from ``top + low`` in
    ``steps`` steps of ``step`` are tried.
    """
    values = np.empty((SMALL, LANES), F32)
    weights = np.empty((SMALL, LANES), F32)
    levels = np.empty((SMALL, LANES), F32)
    found = np.empty((SMALL, LANES), np.uint8)
    state = np.empty((13, LANES), F32)
    sums = np.empty((3, LANES), F32)
    for first in range(0, len(rows), GROUP):
        count = min(GROUP, len(rows) - first)
        spread(rows, len(rows), first, SMALL, values)
        if len(importance):
            weigh_by_columns(values, importance, first, weights)
        else:
            weigh_by_size(values, weights)
        search(values, weights, levels, state, sums, top, low, step, steps)
        for b in range(count):
            if len(importance):
                scales_by_weight(state, b, out[first + b])
            else:
                scales_by_largest(state, b, out[first + b])
        assign(values, state, found, out, first, count, top)
        for b in range(count):
            pack(found, b, out[first + b], top)


@compiled
def weigh_by_size(values: Any, weights: Any) -> None:
    """Without importance: a value's weight is its size plus the quadratic mean of its small block."""
    mean = np.zeros(LANES, F32)
    for i in range(SMALL):
        for k in range(LANES):
            mean[k] += values[i, k] * values[i, k]
    for k in range(LANES):
        mean[k] = np.sqrt(mean[k] / F32(SMALL))
    for i in range(SMALL):
        for k in range(LANES):
            weights[i, k] = mean[k] + np.abs(values[i, k])


@compiled
def weigh_by_columns(values: Any, importance: Any, first: int, weights: Any) -> None:
    """With importance: the column's weight times sqrt(2 · mean square of the block + square of the value)."""
    square = np.zeros(GROUP, F32)
    for j in range(COUNT):
        for i in range(SMALL):
            for b in range(GROUP):
                square[b] += values[i, j * GROUP + b] * values[i, j * GROUP + b]
    for b in range(GROUP):
        square[b] = F32(2.0) * square[b] / F32(SUPER)
    for b in range(GROUP):
        column = (first + b) * SUPER % len(importance)
        for j in range(COUNT):
            for i in range(SMALL):
                weights[i, j * GROUP + b] = importance[column + j * SMALL + i]
    for i in range(SMALL):
        for j in range(COUNT):
            for b in range(GROUP):
                x = values[i, j * GROUP + b]
                weights[i, j * GROUP + b] *= np.sqrt(square[b] + x * x)


@compiled
def search(values: Any, weights: Any, levels: Any, state: Any, sums: Any, top: int, low: Any, step: Any, steps: int) -> None:
    """The best scale and minimum of every lane, into ``state``; the minimum moves as better ones are found, as it does in ggml."""
    begin(values, weights, state, top)
    minimum, maximum, inverse = state[1], state[2], state[8]
    for number in range(steps + 1):
        wanted = low + step * F32(number) + F32(top)
        for k in range(LANES):
            inverse[k] = wanted / (maximum[k] - minimum[k])
        gather(values, weights, levels, state, sums, top)
        fit(state, sums)
        compare(values, weights, levels, state)
    finish(state)


@compiled
def begin(values: Any, weights: Any, state: Any, top: int) -> None:
    """Range, sums and the error of the plain division of the range into levels."""
    scale, minimum, maximum, total, total_x, best, best_inverse, best_minimum, flat = (
        state[0], state[1], state[2], state[3], state[4], state[5], state[6], state[7], state[12],
    )  # fmt: skip
    for k in range(LANES):
        minimum[k] = values[0, k]
        maximum[k] = values[0, k]
        total[k] = weights[0, k]
        total_x[k] = weights[0, k] * values[0, k]
    for i in range(1, SMALL):
        for k in range(LANES):
            x = values[i, k]
            w = weights[i, k]
            minimum[k] = x if x < minimum[k] else minimum[k]
            maximum[k] = x if x > maximum[k] else maximum[k]
            total[k] += w
            total_x[k] += w * x
    for k in range(LANES):
        minimum[k] = ZERO if minimum[k] > ZERO else minimum[k]
        best_inverse[k] = F32(top) / (maximum[k] - minimum[k])
        scale[k] = ONE / best_inverse[k]
        flat[k] = ONE if maximum[k] == minimum[k] else ZERO
        best_minimum[k] = minimum[k]
        best[k] = ZERO
    for i in range(SMALL):
        for k in range(LANES):
            x = values[i, k]
            difference = scale[k] * F32(level(best_inverse[k] * (x - minimum[k]), np.int32(0), np.int32(top))) + minimum[k] - x
            best[k] += weights[i, k] * (difference * difference)


@compiled
def gather(values: Any, weights: Any, levels: Any, state: Any, sums: Any, top: int) -> None:
    """Levels for the inverse scale at hand, and their weighted sums."""
    minimum, inverse = state[1], state[8]
    sum_l, sum_l2, sum_xl = sums[0], sums[1], sums[2]
    for k in range(LANES):
        sum_l[k] = ZERO
        sum_l2[k] = ZERO
        sum_xl[k] = ZERO
    for i in range(SMALL):
        for k in range(LANES):
            x = values[i, k]
            at = F32(level(inverse[k] * (x - minimum[k]), np.int32(0), np.int32(top)))
            weighted = weights[i, k] * at
            levels[i, k] = at
            sum_l[k] += weighted
            sum_l2[k] += weighted * at
            sum_xl[k] += weighted * x


@compiled
def fit(state: Any, sums: Any) -> None:
    """Scale and minimum of least squares for the levels at hand; an error of infinity where there are none."""
    total, total_x, new_scale, new_minimum, error = state[3], state[4], state[9], state[10], state[11]
    sum_l, sum_l2, sum_xl = sums[0], sums[1], sums[2]
    for k in range(LANES):
        determinant = total[k] * sum_l2[k] - sum_l[k] * sum_l[k]
        slope = (total[k] * sum_xl[k] - total_x[k] * sum_l[k]) / determinant
        offset = (sum_l2[k] * total_x[k] - sum_l[k] * sum_xl[k]) / determinant
        through_zero = sum_xl[k] / sum_l2[k]
        new_scale[k] = through_zero if offset > ZERO else slope
        new_minimum[k] = ZERO if offset > ZERO else offset
        error[k] = ZERO if determinant > ZERO else F32(np.inf)


@compiled
def compare(values: Any, weights: Any, levels: Any, state: Any) -> None:
    """Take the fit over where its error is smaller."""
    scale, minimum, best, best_inverse, best_minimum = state[0], state[1], state[5], state[6], state[7]
    inverse, new_scale, new_minimum, error = state[8], state[9], state[10], state[11]
    for i in range(SMALL):
        for k in range(LANES):
            difference = new_scale[k] * levels[i, k] + new_minimum[k] - values[i, k]
            error[k] += weights[i, k] * (difference * difference)
    for k in range(LANES):
        better = error[k] < best[k]
        best[k] = error[k] if better else best[k]
        best_inverse[k] = inverse[k] if better else best_inverse[k]
        best_minimum[k] = minimum[k] if better else best_minimum[k]
        scale[k] = new_scale[k] if better else scale[k]
        minimum[k] = new_minimum[k] if better else minimum[k]


@compiled
def finish(state: Any) -> None:
    """Small blocks of one value repeated have scale 0, and every minimum is stored as what is subtracted."""
    scale, minimum, best_inverse, flat = state[0], state[1], state[6], state[12]
    for k in range(LANES):
        if flat[k] != ZERO:
            scale[k] = ZERO
            best_inverse[k] = ZERO
        minimum[k] = -minimum[k]


@compiled
def scales_by_largest(state: Any, b: int, out: Any) -> None:
    """Without importance: the block's largest scale and largest minimum become 63."""
    largest, largest_minimum = ZERO, ZERO
    for j in range(COUNT):
        largest = max(largest, state[0, j * GROUP + b])
        largest_minimum = max(largest_minimum, state[1, j * GROUP + b])
    inverse = F32(SCALE_TOP) / largest if largest > ZERO else ZERO
    inverse_minimum = F32(SCALE_TOP) / largest_minimum if largest_minimum > ZERO else ZERO
    for j in range(COUNT):
        scale = min(SCALE_TOP, nearest(inverse * state[0, j * GROUP + b]) & 0xFF)
        minimum = min(SCALE_TOP, nearest(inverse_minimum * state[1, j * GROUP + b]) & 0xFF)
        store_scale(out, j, scale, minimum)
    store_halves(out, largest / F32(SCALE_TOP), largest_minimum / F32(SCALE_TOP))


@compiled
def scales_by_weight(state: Any, b: int, out: Any) -> None:
    """With importance: the scales, and the minima, are themselves quantized with the least weighted error."""
    at = np.empty((2, COUNT), np.int32)
    kept = np.empty(COUNT, F32)
    heavy = np.empty(COUNT, F32)
    for j in range(COUNT):
        heavy[j] = state[3, j * GROUP + b]
        kept[j] = state[0, j * GROUP + b]
    d = quantize_scales(kept, heavy, at[0])
    for j in range(COUNT):
        kept[j] = state[1, j * GROUP + b]
    dmin = quantize_scales(kept, heavy, at[1])
    for j in range(COUNT):
        store_scale(out, j, at[0, j], at[1, j])
    store_halves(out, d, dmin)


@compiled
def quantize_scales(x: Any, weights: Any, at: Any) -> Any:
    """Numbers ≥ 0 as multiples ``at`` (0 to 63) of the number that is given back, 0 where all are (almost) 0."""
    largest = ZERO
    for j in range(COUNT):
        largest = max(largest, x[j])
    if largest < F32(1e-15):
        at[:] = 0
        return ZERO
    inverse = F32(SCALE_TOP) / largest
    scale = ONE / inverse
    best = ZERO
    for j in range(COUNT):
        difference = x[j] - scale * F32(nearest(inverse * x[j]) & 0xFF)
        best += weights[j] * difference * difference
    for number in range(-4, 5):
        if number == 0:
            continue
        tried = (F32(0.1) * F32(number) + F32(SCALE_TOP)) / largest
        scale = ONE / tried
        error = ZERO
        for j in range(COUNT):
            difference = x[j] - scale * F32(min(SCALE_TOP, nearest(tried * x[j])))
            error += weights[j] * difference * difference
        if error < best:
            best = error
            inverse = tried
    return settle(x, weights, at, inverse)


@compiled
def settle(x: Any, weights: Any, at: Any, inverse: Any) -> Any:
    """Move single levels while that makes the fit better, five rounds at most; gives the scale."""
    sum_xl, sum_l2 = ZERO, ZERO
    for j in range(COUNT):
        near = min(SCALE_TOP, nearest(inverse * x[j]))
        at[j] = near & 0xFF
        sum_xl += weights[j] * x[j] * F32(near)
        sum_l2 += weights[j] * F32(near) * F32(near)
    for _ in range(5):
        changed = False
        for j in range(COUNT):
            w, old = weights[j], F32(at[j])
            rest_xl = sum_xl - w * x[j] * old
            rest_l2 = sum_l2 - w * old * old
            if rest_xl > ZERO and rest_l2 > ZERO:
                near = min(SCALE_TOP, nearest(x[j] * rest_l2 / rest_xl))
                if near != at[j]:
                    rest_xl += w * x[j] * F32(near)
                    rest_l2 += w * F32(near) * F32(near)
                    if rest_xl * rest_xl * sum_l2 > sum_xl * sum_xl * rest_l2:
                        at[j] = near & 0xFF
                        sum_xl = rest_xl
                        sum_l2 = rest_l2
                        changed = True
        if not changed:
            break
    return sum_xl / sum_l2 if sum_l2 > ZERO else ZERO


@compiled
def store_scale(out: Any, j: int, scale: int, minimum: int) -> None:
    """6 bits of scale and of minimum into bytes 4 to 15: the first four plainly, the last four spread over what is left."""
    if j < 4:
        out[4 + j] = scale
        out[8 + j] = minimum
    else:
        out[8 + j] = (scale & 0xF) | ((minimum & 0xF) << 4)
        out[j] |= (scale >> 4) << 6
        out[4 + j] |= (minimum >> 4) << 6


@compiled
def stored_scale(block: Any, j: int) -> Any:
    """The scale and the minimum that ``store_scale`` has left."""
    if j < 4:
        return block[4 + j] & 63, block[8 + j] & 63
    return (block[8 + j] & 0xF) | (block[j] >> 6 << 4), (block[8 + j] >> 4) | (block[4 + j] >> 6 << 4)


@compiled
def store_halves(out: Any, d: Any, dmin: Any) -> None:
    """The block's two f16 numbers into bytes 0 to 3."""
    scale, minimum = half_bits(d), half_bits(dmin)
    out[0], out[1], out[2], out[3] = scale & 0xFF, scale >> 8, minimum & 0xFF, minimum >> 8


@compiled
def assign(values: Any, state: Any, found: Any, out: Any, first: int, count: int, top: int) -> None:
    """Final levels for the scales as they are stored; small blocks whose stored scale is 0 keep those of the search."""
    scale, minimum, best_inverse, best_minimum = state[8], state[9], state[6], state[7]
    for b in range(GROUP):
        block = out[first + min(b, count - 1)]
        d = from_half_bits(np.uint16(block[0] | (block[1] << 8)))
        dmin = from_half_bits(np.uint16(block[2] | (block[3] << 8)))
        for j in range(COUNT):
            low, high = (
                (block[4 + j], block[8 + j])
                if j < 4
                else ((block[8 + j] & 0xF) | (block[j] >> 6 << 4), (block[8 + j] >> 4) | (block[4 + j] >> 6 << 4))
            )
            scale[j * GROUP + b] = d * F32(low & 63)
            minimum[j * GROUP + b] = dmin * F32(high & 63)
    for i in range(SMALL):
        for k in range(LANES):
            found[i, k] = level((values[i, k] + minimum[k]) / scale[k], np.int32(0), np.int32(top))
    for k in range(LANES):
        if scale[k] == ZERO:
            for i in range(SMALL):
                found[i, k] = level(best_inverse[k] * (values[i, k] - best_minimum[k]), np.int32(0), np.int32(top))


@compiled
def pack(found: Any, b: int, out: Any, top: int) -> None:
    """Levels of one block into nibbles, 32 of one small block beside 32 of the next; a fifth bit goes into bytes 16 to 47."""
    five = top > 15
    start = 48 if five else 16
    if five:
        out[16:48] = 0
    for pair in range(COUNT // 2):
        left, right = 2 * pair * GROUP + b, (2 * pair + 1) * GROUP + b
        for i in range(SMALL):
            low, high = found[i, left], found[i, right]
            out[start + pair * SMALL + i] = (low & 0xF) | ((high & 0xF) << 4)
            if five:
                out[16 + i] |= (low >> 4 << (2 * pair)) | (high >> 4 << (2 * pair + 1))
