"""The arithmetic that ggml's K-quants are made of, for many small blocks side by side.

ggml looks at one block of 16 or 32 values at a time and adds its sums one value after the other, which a processor cannot do sixteen at
once without changing the result. Here 64 blocks lie side by side, value i of all of them in one row, so every operation is the same for
64 neighbouring numbers, and every block's own sums are still added in ggml's order: the bits are the same. Nothing may reassociate or
fuse (``fastmath`` stays off), and integers are rounded by ggml's own trick, which tells what happens to numbers out of range.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

from appliance.stages.export.fast_quantizer.compiled_code import cache_folder

LANES = 64
"""Small blocks side by side: 4 registers of AVX-512, and 32 values of each with weights and levels fit into the first cache."""

SUPER = 256
"""Values of one block of a K-quant; its small blocks share a scale of scales."""

Function = TypeVar("Function", bound=Callable[..., Any])


def compiled(function: Function) -> Function:
    """A part of a program, as machine code that divides by zero as C does."""
    return cast(Function, njit(error_model="numpy")(function))


def program(function: Function) -> Function:
    """A function that Python calls: machine code with all its parts, kept between runs, that runs without Python's lock."""
    return cast(Function, njit(error_model="numpy", nogil=True, cache=cache_folder() is not None)(function))


def _intrinsic(build: Callable[[ir.IRBuilder, Any], Any], result: Any, argument: Any) -> Any:
    """One number of type ``result`` from one of type ``argument`` by LLVM's own instructions."""

    def typed(_context: Any, _value: Any) -> Any:
        return result(argument), lambda _context, builder, _signature, arguments: build(builder, arguments[0])

    return intrinsic(typed)


bits_of = _intrinsic(lambda builder, value: builder.bitcast(value, ir.IntType(32)), types.int32, types.float32)
"""An f32 as the i32 with the same bits."""

half_bits = _intrinsic(
    lambda builder, value: builder.bitcast(builder.fptrunc(value, ir.HalfType()), ir.IntType(16)), types.uint16, types.float32
)
"""An f32 rounded to f16, as the u16 with its bits."""

from_half_bits = _intrinsic(
    lambda builder, value: builder.fpext(builder.bitcast(value, ir.HalfType()), ir.FloatType()), types.float32, types.uint16
)
"""The f32 of an f16's bits."""


@compiled
def nearest(value: Any) -> Any:
    """The nearest integer, to even on a tie: adding 1.5 · 2^23 leaves it in the low bits. Out of range gives what it gives in ggml."""
    return (bits_of(value + np.float32(12582912.0)) & np.int32(0x7FFFFF)) - np.int32(0x400000)


@compiled
def level(value: Any, lowest: Any, highest: Any) -> Any:
    """The nearest integer between two."""
    return max(lowest, min(highest, nearest(value)))


@compiled
def spread(values: Any, rows: Any, first: int, small: int, lanes: Any) -> None:
    """Blocks ``first`` and following of (blocks, 256) as (small, 64); lanes past the last block are zero.

    Value i of small block j of block b goes to row i, lane j · group + b.
    """
    group = LANES * small // SUPER
    count = min(group, rows - first)
    if count < group:
        lanes[:, :] = 0
    for b in range(count):
        for j in range(SUPER // small):
            for i in range(small):
                lanes[i, j * group + b] = values[first + b, j * small + i]
