"""The comparison, in the child: the same conversations through the full-precision and the quantized model, side by side.

For every token that the model has to say itself, both distributions over the vocabulary exist together and are forgotten again: with
152,000 words and pieces of 256 tokens about 0.5 GB at once, and nothing on disk.

Perplexity is the exponential of the mean cross entropy; the divergence is KL(full ‖ quantized) in nats, as ``llama-perplexity
--kl-divergence`` means it, though over answers only and without rounding the full model's probabilities to 16 bits.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import llama_cpp
import msgspec
import numpy as np
from numpy.typing import NDArray

from appliance.domain.errors import ApplianceError, ExitCode
from appliance.processes.room import physical_cores
from appliance.stages.export.children import child_main
from appliance.stages.export.ggml_backends import load_backends
from appliance.stages.export.quality import CONTEXT, PIECE, CompareRequest, Comparison

SEQUENCES = 64
"""Conversations that share one pass."""
_ROWS_AT_ONCE = 16
"""Distributions that numpy works on together: they fit into a core's cache."""

Logits = NDArray[np.float32]


@dataclass(frozen=True)
class Pass:
    """Conversations side by side, flattened: (tokens,) each."""

    ids: NDArray[np.int32]
    positions: NDArray[np.int32]
    sequences: NDArray[np.int32]
    targets: NDArray[np.int32]
    """The token that follows where the model has to say it, otherwise -1."""


def answer(raw: bytes, tell: Callable[[int], None]) -> Comparison:
    """Compare what the request names."""
    request = msgspec.json.decode(raw, type=CompareRequest)
    began = time.perf_counter()
    with np.load(request.ids) as stored, ExitStack() as models:
        passes = list(_passes(stored["ids"], stored["scored"], stored["ends"]))
        full, quantized = (models.enter_context(_loaded(path)) for path in (request.full, request.quantized))
        losses, done = [np.empty((0, 4))], 0
        for one in passes:
            for model in (full, quantized):
                model.forget()
            for start in range(0, len(one.ids), PIECE):
                piece = slice(start, start + PIECE)
                targets = one.targets[piece]
                spoken = targets >= 0
                losses.append(_measured(full.logits(one, piece), quantized.logits(one, piece), targets[spoken]))
                done += len(targets)
                tell(done)
    return _summed(np.concatenate(losses), round(time.perf_counter() - began, 3))


def _passes(ids: NDArray[np.int32], scored: NDArray[np.bool_], ends: NDArray[np.int64]) -> Iterator[Pass]:
    """Whole conversations, as many together as fit the context."""
    targets = np.where(np.append(scored[1:], False), np.append(ids[1:], -1), -1).astype(np.int32)
    starts = np.concatenate([[0], ends[:-1]])
    first = 0
    while first < len(ends):
        last = first
        while last + 1 < len(ends) and ends[last + 1] - starts[first] <= CONTEXT and last + 1 - first < SEQUENCES:
            last += 1
        lengths = ends[first : last + 1] - starts[first : last + 1]
        span = slice(int(starts[first]), int(ends[last]))
        positions = np.concatenate([np.arange(length) for length in lengths]).astype(np.int32)
        sequences = np.repeat(np.arange(len(lengths)), lengths).astype(np.int32)
        yield Pass(ids[span], positions, sequences, targets[span])
        first = last + 1


class _Model:
    """A loaded model with a context for many sequences."""

    def __init__(self, context: Any, rows: int) -> None:
        self._context, self._rows = context, rows
        self._batch = llama_cpp.llama_batch_init(PIECE, 0, 1)

    def forget(self) -> None:
        """Empty the cache."""
        llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(self._context), True)

    def logits(self, one: Pass, piece: slice) -> Logits:
        """Logits of the piece's positions that have a target: (positions, vocabulary); valid until the next call."""
        batch, count = self._batch, 0
        for token, position, sequence, target in zip(
            one.ids[piece], one.positions[piece], one.sequences[piece], one.targets[piece], strict=True
        ):
            batch.token[count], batch.pos[count], batch.n_seq_id[count] = int(token), int(position), 1
            batch.seq_id[count][0], batch.logits[count] = int(sequence), bool(target >= 0)
            count += 1
        batch.n_tokens = count
        if llama_cpp.llama_decode(self._context, batch):
            sys.exit(1)
        outputs = int((one.targets[piece] >= 0).sum())
        if not outputs:
            return np.empty((0, self._rows), dtype=np.float32)
        return np.ctypeslib.as_array(llama_cpp.llama_get_logits(self._context), shape=(outputs, self._rows))


@contextmanager
def _loaded(path: str) -> Iterator[_Model]:
    parameters = llama_cpp.llama_model_default_params()
    parameters.n_gpu_layers = 0
    # Weights stay in the file's pages: repacked copies would need memory of their own.
    parameters.use_extra_bufts = False
    model = llama_cpp.llama_model_load_from_file(path.encode(), parameters)
    if not model:
        sys.exit(1)
    settings = llama_cpp.llama_context_default_params()
    settings.n_ctx, settings.n_batch, settings.n_ubatch, settings.n_seq_max = CONTEXT, PIECE, PIECE, SEQUENCES
    settings.kv_unified = True
    settings.n_threads = settings.n_threads_batch = physical_cores()
    context = llama_cpp.llama_init_from_model(model, settings)
    if not context:
        sys.exit(1)
    try:
        yield _Model(context, llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(model)))
    finally:
        llama_cpp.llama_free(context)
        llama_cpp.llama_model_free(model)


def _measured(full: Logits, quantized: Logits, targets: NDArray[np.int32]) -> NDArray[np.float64]:
    """Per token: cross entropy in full precision, quantized, divergence, and whether both prefer the same token: (tokens, 4)."""
    found = np.empty((len(targets), 4))
    for start in range(0, len(targets), _ROWS_AT_ONCE):
        rows = slice(start, start + _ROWS_AT_ONCE)
        ours, theirs = _log_softmax(full[rows]), _log_softmax(quantized[rows])
        asked = targets[rows, None]
        found[rows, 0] = -np.take_along_axis(ours, asked, 1)[:, 0]
        found[rows, 1] = -np.take_along_axis(theirs, asked, 1)[:, 0]
        found[rows, 2] = (np.exp(ours) * (ours - theirs)).sum(1, dtype=np.float64)
        found[rows, 3] = ours.argmax(1) == theirs.argmax(1)
    return found


def _log_softmax(logits: Logits) -> Logits:
    shifted: Logits = logits - logits.max(1, keepdims=True)
    totals = np.exp(shifted).sum(1, keepdims=True, dtype=np.float64)
    shifted -= np.log(totals)
    return shifted


def _summed(found: NDArray[np.float64], seconds: float) -> Comparison:
    if not np.isfinite(found).all():
        raise ApplianceError("check_not_finite", ExitCode.RUN_FAILED)
    full, quantized, divergence, same = found.mean(0).tolist()
    error = float(found[:, 2].std() / np.sqrt(len(found)))
    return Comparison(
        tokens=len(found),
        loss_full=full,
        loss=quantized,
        kl_divergence=divergence,
        kl_divergence_error=error,
        same_top=same,
        seconds=seconds,
    )


if __name__ == "__main__":
    load_backends()
    llama_cpp.llama_backend_init()
    child_main(answer)
