"""ggml's own quantization arithmetic, called row by row: the reference that every file of ours is exact against.

``ctypes`` gives up Python's lock during a call, so threads that call it use all cores.
"""

from __future__ import annotations

import ctypes
import importlib.util
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType
from numpy.typing import NDArray

from appliance.domain.errors import ApplianceError, ExitCode

Quantize = Callable[[NDArray[np.float32], GGMLQuantizationType, NDArray[np.float32] | None], NDArray[np.uint8]]
"""Rows of f32 (rows, columns), their type, one weight per column or None → the bytes of their blocks, as ``quantize_rows`` does it."""


def block_size(kind: GGMLQuantizationType) -> int:
    """How many neighbouring values of a row share one block; a row's length must be a multiple of it."""
    return int(GGML_QUANT_SIZES[kind][0])


def bytes_of(kind: GGMLQuantizationType, elements: int) -> int:
    """Bytes that so many values take in whole blocks of this type."""
    values, size = GGML_QUANT_SIZES[kind]
    return elements // values * size


def quantize_rows(
    rows: NDArray[np.float32], kind: GGMLQuantizationType, importance: NDArray[np.float32] | None = None
) -> NDArray[np.uint8]:
    """Rows of f32 (rows, columns) as the bytes of their blocks; ``importance`` weighs the columns.

    Rows do not influence each other. Raises OverflowError when a value does not fit the type, as 1e6 does not fit f16.
    """
    if kind == GGMLQuantizationType.F32:
        return rows.reshape(-1).view(np.uint8)
    ggml = _ggml()
    count, columns = rows.shape
    blocks = np.empty(bytes_of(kind, rows.size), dtype=np.uint8)
    weights = None if importance is None else importance.ctypes.data_as(ctypes.POINTER(ctypes.c_float))
    written = ggml.ggml_quantize_chunk(int(kind), rows.ctypes.data, blocks.ctypes.data, 0, count, columns, weights)
    if written != blocks.nbytes:
        raise OverflowError(kind.name)
    return validated(kind, blocks)


def validated(kind: GGMLQuantizationType, blocks: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The blocks themselves; raises OverflowError when ggml finds an infinite or undefined number in them."""
    if not _ggml().ggml_validate_row_data(int(kind), blocks.ctypes.data, blocks.nbytes):
        raise OverflowError(kind.name)
    return blocks


@cache
def _ggml() -> ctypes.CDLL:
    found = importlib.util.find_spec("llama_cpp")
    if found is None or found.origin is None:
        raise ApplianceError("llama_cpp_missing", ExitCode.RUN_FAILED)
    library = ctypes.CDLL(str(Path(found.origin).parent / "lib" / "libggml-base.so"))
    address, whole = ctypes.c_void_p, ctypes.c_int64
    # ggml.h: size_t ggml_quantize_chunk(type, const float * src, void * dst, start, nrows, n_per_row, const float * imatrix)
    library.ggml_quantize_chunk.argtypes = [ctypes.c_int, address, address, whole, whole, whole, ctypes.POINTER(ctypes.c_float)]
    library.ggml_quantize_chunk.restype = ctypes.c_size_t
    # ggml.h: bool ggml_validate_row_data(type, const void * data, size_t nbytes)
    library.ggml_validate_row_data.argtypes = [ctypes.c_int, address, ctypes.c_size_t]
    library.ggml_validate_row_data.restype = ctypes.c_bool
    return library
