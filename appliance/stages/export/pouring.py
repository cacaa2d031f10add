"""From the base's files to the result's bytes: read rows, add the update, check, convert; on all cores, in order, in bounded memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from appliance.domain.errors import ApplianceError
from appliance.processes.room import usable_cores
from appliance.stages.export.base_weights import WeightReader, from_f32
from appliance.stages.export.plan import PlannedTensor
from appliance.stages.export.quantizer import Quantize, quantize_rows

Bytes = NDArray[np.uint8]
Convert = Callable[[PlannedTensor, NDArray[np.float32]], Bytes]
"""Rows of f32 as the bytes that are written."""


def poured(
    planned: Iterable[PlannedTensor], reader: WeightReader, convert: Convert, threads: int = 0
) -> Iterator[tuple[PlannedTensor, int, Bytes]]:
    """Each piece of the result in order: its tensor, the bytes of the base that it took, its own bytes.

    At most two pieces per thread exist at once. Raises ``weights_not_finite`` with the tensor's name.
    """
    count = threads or usable_cores()
    waiting: deque[tuple[PlannedTensor, int, Future[Bytes]]] = deque()
    # One product on one core: our threads share the work already, and the sums do not depend on how many cores there are.
    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(count, thread_name_prefix="pour") as pool:
        try:
            for tensor in planned:
                for start, stop in tensor.row_blocks():
                    if len(waiting) >= 2 * count:
                        yield _first_of(waiting)
                    waiting.append((tensor, _taken(tensor, start, stop), pool.submit(_piece, tensor, start, stop, reader, convert)))
            while waiting:
                yield _first_of(waiting)
        finally:
            for _, _, future in waiting:
                future.cancel()


def gguf_bytes(
    tensor: PlannedTensor, rows: NDArray[np.float32], importance: NDArray[np.float32] | None = None, quantize: Quantize = quantize_rows
) -> Bytes:
    """Rows in their GGUF type, rotary rows in llama.cpp's order; ``importance`` weighs the columns."""
    if tensor.head:
        rows = interleaved(rows, tensor.head)
    try:
        return quantize(rows, tensor.kind, importance)
    except OverflowError:
        raise ApplianceError("quantized_invalid", tensor=tensor.name, type=tensor.kind.name) from None


def stored_bytes(tensor: PlannedTensor, rows: NDArray[np.float32]) -> Bytes:
    """Rows in the type that the base has them in."""
    with np.errstate(over="ignore"):
        rounded = from_f32(rows, tensor.dtype)
    if tensor.dtype == "F16" and not np.isfinite(rounded).all():
        raise ApplianceError("quantized_invalid", tensor=tensor.name, type="F16")
    return rounded.reshape(-1).view(np.uint8)


def interleaved(rows: NDArray[np.float32], head: int) -> NDArray[np.float32]:
    """Rows of whole heads from "first half, second half" (transformers' rotation) to pairs side by side (llama.cpp's)."""
    halves = rows.reshape(len(rows) // head, 2, head // 2, -1)
    return np.ascontiguousarray(halves.swapaxes(1, 2)).reshape(rows.shape)


def _first_of(waiting: deque[tuple[PlannedTensor, int, Future[Bytes]]]) -> tuple[PlannedTensor, int, Bytes]:
    tensor, taken, future = waiting.popleft()
    return tensor, taken, future.result()


def _taken(tensor: PlannedTensor, start: int, stop: int) -> int:
    """Bytes of the base that rows ``start`` to ``stop`` take."""
    if tensor.source is None:
        return 0
    stored = tensor.source.shape[0]
    return (min(stop, stored) - min(start, stored)) * (tensor.source.size // stored)


def _piece(tensor: PlannedTensor, start: int, stop: int, reader: WeightReader, convert: Convert) -> Bytes:
    if tensor.source is None:
        assert tensor.values is not None  # every tensor has one or the other
        return convert(tensor, tensor.values[start:stop, None])
    stored = tensor.source.shape[0]
    rows = reader.rows(tensor.source, min(start, stored), min(stop, stored))
    if len(rows) < stop - start:  # rows of new tokens, which the update brings
        rows = np.concatenate([rows, np.zeros((stop - start - len(rows), rows.shape[1]), dtype=np.float32)])
    if tensor.update is not None:
        tensor.update.apply(rows, start, reader)
    if not np.isfinite(rows).all():
        raise ApplianceError("weights_not_finite", tensor=tensor.name, path=str(tensor.source.path))
    return convert(tensor, rows)
