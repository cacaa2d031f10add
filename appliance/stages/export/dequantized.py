"""The base as a QLoRA training saw it: its linear layers through NF4 with double quantization and back (Dettmers et al. 2023).

An adapter that was trained on these weights has learned to make up for their rounding as well. The numbers are bitsandbytes' own, bit for
bit; the four bits are chosen here, because on the CPU it takes ten times as long for them, and the blocks' scales are left to it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from appliance.files.safetensors_header import StoredTensor
from appliance.stages.export.base_weights import WeightReader, opened_weights

BLOCK = 64
"""Neighbouring values that share a scale; bitsandbytes' own for 4 bits."""

_AT_ONCE = 1 << 16
"""Values that are worked on at once: they stay in the processor's cache."""

_CODE = np.array(
    [
        -1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635, -0.18477343022823334,
        -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
        0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0,
    ],
    dtype=np.float32,
)  # fmt: skip
"""The sixteen values of NF4: quantiles of the normal distribution (paper, appendix E)."""

_STEPS = 2048
_BOUNDS = ((_CODE[1:].astype(np.float64) + _CODE[:-1]) / 2).astype(np.float32)
"""Half-way between neighbours; a value on a bound belongs below it."""


def _step_of(values: NDArray[np.float32]) -> NDArray[np.intp]:
    return ((values + np.float32(1)) * np.float32(_STEPS / 2)).astype(np.intp)


def _tables() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """For each of 2,049 steps from -1 to 1: the bound that lies in it (infinite where none does), and the values below and above it."""
    bounds = np.full(_STEPS + 1, np.inf, dtype=np.float32)
    bounds[_step_of(_BOUNDS)] = _BOUNDS
    below = np.searchsorted(_step_of(_BOUNDS), np.arange(_STEPS + 1), side="left")
    return bounds, np.stack([_CODE[below], _CODE[np.minimum(below + 1, 15)]], axis=1).reshape(-1)


_BOUND_OF, _VALUES_OF = _tables()


class DequantizedReader(WeightReader):
    """Gives the rows of some tensors as 4-bit training saw them; holds a tensor's scales from its first row to its last."""

    def __init__(self, reader: WeightReader, quantized: Iterable[StoredTensor]) -> None:
        self._reader = reader
        self._locks = {tensor: Lock() for tensor in quantized}
        self._scales: dict[StoredTensor, NDArray[np.float32]] = {}
        self._left: dict[StoredTensor, int] = {}

    def rows(self, tensor: StoredTensor, start: int, stop: int) -> NDArray[np.float32]:
        """Rows ``start`` to ``stop`` as a new f32 array (rows, columns)."""
        lock = self._locks.get(tensor)
        if lock is None:
            return self._reader.rows(tensor, start, stop)
        with lock:
            if tensor not in self._scales:
                self._scales[tensor] = double_quantized(self._largest(tensor))
                self._left[tensor] = tensor.shape[0]
            scales = self._scales[tensor]
            self._left[tensor] -= stop - start
            if self._left[tensor] <= 0:
                del self._scales[tensor]
        # Blocks go on from row to row: begin and end where one does.
        columns, whole = tensor.shape[1], _rows_of_whole_blocks(tensor)
        first, last = start - start % whole, min(stop + -stop % whole, tensor.shape[0])
        weights = self._reader.rows(tensor, first, last).reshape(-1)
        rounded = rounded_to_nf4(weights, scales[first * columns // BLOCK :])
        return rounded.reshape(-1, columns)[start - first : stop - first]

    def _largest(self, tensor: StoredTensor) -> NDArray[np.float32]:
        """The largest magnitude in every block."""
        whole = _rows_of_whole_blocks(tensor)
        step = max(1, (1 << 20) // (tensor.shape[1] * whole)) * whole
        blocks = ((start, min(start + step, tensor.shape[0])) for start in range(0, tensor.shape[0], step))
        return np.concatenate([largest_of_blocks(self._reader.rows(tensor, *block).reshape(-1)) for block in blocks])


@contextmanager
def opened_base(files: Mapping[str, StoredTensor], quantized: Iterable[StoredTensor]) -> Iterator[WeightReader]:
    """A reader over all files, through which the ``quantized`` tensors are seen as 4-bit training saw them."""
    with opened_weights(files) as reader:
        tensors = list(quantized)
        yield DequantizedReader(reader, tensors) if tensors else reader


def largest_of_blocks(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """The largest magnitude of every 64 neighbours; of what is left at the end as well."""
    return np.maximum.reduceat(np.abs(values), np.arange(0, len(values), BLOCK))


def double_quantized(scales: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scales of blocks, rounded to 8 bits around their mean as bitsandbytes does it, as f32 again."""
    from bitsandbytes.functional import dequantize_blockwise, quantize_blockwise
    from torch import from_numpy

    exact = from_numpy(scales)
    mean = exact.mean()
    rounded: NDArray[np.float32] = (dequantize_blockwise(*quantize_blockwise(exact - mean, blocksize=256)) + mean).numpy()
    return rounded


def rounded_to_nf4(weights: NDArray[np.float32], scales: NDArray[np.float32]) -> NDArray[np.float32]:
    """Values that begin with a whole block, each the nearest of NF4's sixteen times its block's scale, in place."""
    for start in range(0, len(weights), _AT_ONCE):
        piece = weights[start : start + _AT_ONCE]
        counts = np.full(math.ceil(len(piece) / BLOCK), BLOCK)
        counts[-1] = len(piece) - BLOCK * (len(counts) - 1)
        largest = np.maximum(largest_of_blocks(piece), np.float32(1e-38))
        if counts[-1] == BLOCK:
            piece *= np.repeat(np.float32(1) / largest, counts)
        else:  # bitsandbytes divides in the block that is not whole
            piece[: -counts[-1]] *= np.repeat(np.float32(1) / largest[:-1], BLOCK)
            piece[-counts[-1] :] /= largest[-1]
        np.clip(piece, -1, 1, out=piece)
        step = _step_of(piece)
        is_above = piece > _BOUND_OF[step]
        step *= 2
        step += is_above
        first = start // BLOCK
        np.multiply(_VALUES_OF[step], np.repeat(scales[first : first + len(counts)], counts), out=piece)
    return weights


def _rows_of_whole_blocks(tensor: StoredTensor) -> int:
    return BLOCK // math.gcd(BLOCK, tensor.shape[1])
