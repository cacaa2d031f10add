"""Reading a base's weights in blocks of rows, as f32, without ever holding more than a block."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from appliance.domain.errors import ApplianceError
from appliance.files.safetensors_header import ITEM_BYTES, StoredTensor

_NUMPY_TYPES = {"F32": np.float32, "F16": np.float16, "BF16": np.uint16}


class WeightReader:
    """Open files of a base; reads are positional, so several threads may read at once."""

    def __init__(self, descriptors: Mapping[Path, int]) -> None:
        self._descriptors = descriptors

    def rows(self, tensor: StoredTensor, start: int, stop: int) -> NDArray[np.float32]:
        """Rows ``start`` to ``stop`` as a new f32 array (rows, columns); a vector has one column.

        Raises ``safetensors_truncated`` when the file has become shorter than it was.
        """
        columns = columns_of(tensor.shape)
        row_bytes = columns * ITEM_BYTES[tensor.dtype]
        raw = np.empty((stop - start, columns), dtype=_NUMPY_TYPES[tensor.dtype])
        waiting, offset = raw.reshape(-1).view(np.uint8).data, tensor.start + start * row_bytes
        while waiting:
            count = os.preadv(self._descriptors[tensor.path], [waiting], offset)
            if count == 0:
                expected = tensor.start + tensor.size
                raise ApplianceError("safetensors_truncated", path=str(tensor.path), expected=expected, found=offset)
            waiting, offset = waiting[count:], offset + count
        return as_f32(raw, tensor.dtype)


@contextmanager
def opened_weights(tensors: Mapping[str, StoredTensor]) -> Iterator[WeightReader]:
    """A reader over all files in which these tensors lie."""
    with ExitStack() as files:
        paths = sorted({tensor.path for tensor in tensors.values()})
        yield WeightReader({path: files.enter_context(path.open("rb", buffering=0)).fileno() for path in paths})


def columns_of(shape: tuple[int, ...]) -> int:
    """Length of one row: the last dimension of a matrix, 1 for a vector."""
    return shape[-1] if len(shape) > 1 else 1


def as_f32(stored: NDArray[np.generic], dtype: str) -> NDArray[np.float32]:
    """Stored values as f32: exact for all three types. bf16 is the upper half of an f32."""
    if dtype == "BF16":
        bits = stored.astype(np.uint32)
        bits <<= 16
        return bits.view(np.float32)
    return stored.astype(np.float32, copy=False)


def from_f32(values: NDArray[np.float32], dtype: str) -> NDArray[np.generic]:
    """f32 rounded to a stored type, to the nearest and to even on a tie (finite values only)."""
    if dtype == "BF16":
        bits = values.view(np.uint32)
        return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)
    return values.astype(_NUMPY_TYPES[dtype], copy=False)
