"""Q6_K: x ≈ d · scale · level, in small blocks of 16 values with levels from -32 to 31; ggml's search, 64 small blocks at a time.

Written after the arithmetic of ``quantize_row_q6_K_ref``, ``quantize_row_q6_K_impl`` and ``make_qx_quants`` in ggml-quants.c, and equal to
them bit for bit. Without importance a value's weight is its square; with it, the column's.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from appliance.stages.export.fast_quantizer.lanes import LANES, SUPER, compiled, from_half_bits, half_bits, level, nearest, program, spread

SMALL = 16
COUNT = SUPER // SMALL
GROUP = LANES // COUNT
"""Blocks that are worked on together."""
TOP = 32

F32 = np.float32
ZERO = np.float32(0.0)
ALMOST_ZERO = np.float32(1e-15)
"""ggml's GROUP_MAX_EPS: smaller blocks are stored as zeros."""


@program
def quantize(rows: Any, importance: Any, out: Any) -> None:
    """Blocks (count, 256) f32 into their bytes (count, 210); ``importance`` is one weight per column of a row, or empty."""
    values = np.empty((SMALL, LANES), F32)
    weights = np.empty((SMALL, LANES), F32)
    products = np.empty((SMALL, LANES), F32)
    found = np.empty((SMALL, LANES), np.uint8)
    state = np.empty((8, LANES), F32)
    for first in range(0, len(rows), GROUP):
        count = min(GROUP, len(rows) - first)
        spread(rows, len(rows), first, SMALL, values)
        weigh(values, importance, first, weights, products)
        search(values, weights, products, state)
        for b in range(count):
            store_scales(state, b, out[first + b])
        assign(values, state, found, out, first, count)
        for b in range(count):
            pack(found, b, out[first + b])


@compiled
def weigh(values: Any, importance: Any, first: int, weights: Any, products: Any) -> None:
    """Weights, and weight times value."""
    if len(importance):
        for b in range(GROUP):
            column = (first + b) * SUPER % len(importance)
            for j in range(COUNT):
                for i in range(SMALL):
                    weights[i, j * GROUP + b] = importance[column + j * SMALL + i]
    else:
        for i in range(SMALL):
            for k in range(LANES):
                weights[i, k] = values[i, k] * values[i, k]
    for i in range(SMALL):
        for k in range(LANES):
            products[i, k] = weights[i, k] * values[i, k]


@compiled
def search(values: Any, weights: Any, products: Any, state: Any) -> None:
    """The best scale of every lane and the inverse that gave its levels, into ``state``."""
    scale, best, best_inverse, inverse, extreme, sum_xl, sum_l2, empty = (
        state[0], state[1], state[2], state[3], state[4], state[5], state[6], state[7],
    )  # fmt: skip
    find_extremes(values, extreme, best)
    for k in range(LANES):
        inverse[k] = F32(-TOP) / extreme[k]
    gather(values, weights, products, inverse, sum_xl, sum_l2)
    for k in range(LANES):
        scale[k] = sum_xl[k] / sum_l2[k] if sum_l2[k] != ZERO else ZERO
        best_inverse[k] = inverse[k]
        empty[k] = best[k] < ALMOST_ZERO
        best[k] = scale[k] * sum_xl[k]
    for number in range(-9, 10):
        if number == 0:
            continue
        wanted = -(F32(TOP) + F32(0.1) * F32(number))
        for k in range(LANES):
            inverse[k] = wanted / extreme[k]
        gather(values, weights, products, inverse, sum_xl, sum_l2)
        for k in range(LANES):
            better = (sum_l2[k] > ZERO) & (sum_xl[k] * sum_xl[k] > best[k] * sum_l2[k])
            scale[k] = sum_xl[k] / sum_l2[k] if better else scale[k]
            best[k] = scale[k] * sum_xl[k] if better else best[k]
            best_inverse[k] = inverse[k] if better else best_inverse[k]
    for k in range(LANES):
        scale[k] = ZERO if empty[k] else scale[k]


@compiled
def find_extremes(values: Any, extreme: Any, size: Any) -> None:
    """The first value of the largest size in every lane, and its size."""
    for k in range(LANES):
        extreme[k] = ZERO
        size[k] = ZERO
    for i in range(SMALL):
        for k in range(LANES):
            x = values[i, k]
            larger = np.abs(x) > size[k]
            extreme[k] = x if larger else extreme[k]
            size[k] = np.abs(x) if larger else size[k]


@compiled
def gather(values: Any, weights: Any, products: Any, inverse: Any, sum_xl: Any, sum_l2: Any) -> None:
    """Weighted sums over the levels for the inverse scale at hand."""
    for k in range(LANES):
        sum_xl[k] = ZERO
        sum_l2[k] = ZERO
    for i in range(SMALL):
        for k in range(LANES):
            at = F32(level(inverse[k] * values[i, k], np.int32(-TOP), np.int32(TOP - 1)))
            sum_xl[k] += products[i, k] * at
            sum_l2[k] += weights[i, k] * at * at


@compiled
def store_scales(state: Any, b: int, out: Any) -> None:
    """The block's f16 number into bytes 208 and 209, and 16 scales of 8 bits into bytes 192 to 207: the largest becomes -128."""
    largest, size = ZERO, ZERO
    for j in range(COUNT):
        scale = state[0, j * GROUP + b]
        if np.abs(scale) > size:
            size = np.abs(scale)
            largest = scale
    if size < ALMOST_ZERO:
        out[192:210] = 0
        for j in range(COUNT):
            state[7, j * GROUP + b] = 1
        return
    inverse = F32(-128.0) / largest
    for j in range(COUNT):
        out[192 + j] = np.uint8(min(127, nearest(inverse * state[0, j * GROUP + b])) & 0xFF)
    d = half_bits(F32(1.0) / inverse)
    out[208], out[209] = d & 0xFF, d >> 8


@compiled
def assign(values: Any, state: Any, found: Any, out: Any, first: int, count: int) -> None:
    """Final levels, counted from 0, for the scales as they are stored; small blocks whose stored scale is 0 keep those of the search."""
    scale, best_inverse, empty = state[3], state[2], state[7]
    for b in range(GROUP):
        block = out[first + min(b, count - 1)]
        d = from_half_bits(np.uint16(block[208] | (block[209] << 8)))
        for j in range(COUNT):
            scale[j * GROUP + b] = d * F32(np.int8(block[192 + j]))
    for i in range(SMALL):
        for k in range(LANES):
            found[i, k] = level(values[i, k] / scale[k], np.int32(-TOP), np.int32(TOP - 1)) + TOP
    for k in range(LANES):
        if scale[k] == ZERO:
            for i in range(SMALL):
                kept = level(best_inverse[k] * values[i, k], np.int32(-TOP), np.int32(TOP - 1)) + TOP
                found[i, k] = 0 if empty[k] else kept


@compiled
def pack(found: Any, b: int, out: Any) -> None:
    """Levels of one block: the low 4 bits into bytes 0 to 127, the high 2 bits into bytes 128 to 191."""
    for half in range(2):
        for part in range(2):
            for i in range(SMALL):
                lane, at = (half * 8 + part) * GROUP + b, part * SMALL + i
                q1, q2, q3, q4 = found[i, lane], found[i, lane + 2 * GROUP], found[i, lane + 4 * GROUP], found[i, lane + 6 * GROUP]
                out[half * 64 + at] = (q1 & 0xF) | ((q3 & 0xF) << 4)
                out[half * 64 + 32 + at] = (q2 & 0xF) | ((q4 & 0xF) << 4)
                out[128 + half * 32 + at] = (q1 >> 4) | (q2 >> 4 << 2) | (q3 >> 4 << 4) | (q4 >> 4 << 6)
