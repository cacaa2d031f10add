"""What every peer is watched with: when its steps end, which labels it trains, its memory, and when its first forward pass begins."""

from __future__ import annotations

import hashlib
import json
import resource
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback

from scripts.training_bench.settings import Settings
from scripts.training_bench.start import stop_at_first_forward, versions


class Recorder:
    """Takes notes of one run and writes them down."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._ends: list[float] = []
        self._labels: list[list[str]] = []
        self._counts: list[list[int]] = []
        self.facts: dict[str, Any] = {}
        self.micro_batches = 1
        """Of a step; the last step may have fewer."""
        if settings.start_only:
            stop_at_first_forward(Path(settings.result))

    def begin(self) -> None:
        """The clock of the first step starts."""
        self._synchronize()
        self._ends.append(time.perf_counter())

    def step_done(self) -> None:
        """An optimizer step is over."""
        self._synchronize()
        self._ends.append(time.perf_counter())

    def saw(self, batch: Any) -> None:
        """A micro-batch leaves the collator: note the rows' trained tokens, padded (rows, tokens) or packed with ``position_ids``."""
        digests, trained = [], 0
        for labels in _rows(batch):
            said = [int(label) for label in labels[1:] if label != -100]
            if said:
                trained += len(said)
                digests.append(row_digest(said))
        self._labels.append(digests)
        self._counts.append([trained, int(batch["input_ids"].numel())])

    def watched(self, collator: Any) -> Any:
        """The same collator, but what it gives is noted."""

        def collate(examples: Any) -> Any:
            batch = collator(examples)
            self.saw(batch)
            return batch

        return collate

    def write(self) -> None:
        """Leave the result."""
        each = self.micro_batches
        counts = [self._counts[at * each : (at + 1) * each] for at in range(len(self._ends) - 1)]
        found = {
            "seconds": [after - before for before, after in pairwise(self._ends)],
            "trained": [sum(trained for trained, _ in step) for step in counts],
            "processed": [sum(size for _, size in step) for step in counts],
            "labels": labels_digest([digest for batch in self._labels for digest in batch]),
            "rows": sum(map(len, self._labels)),
            "peak_memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
            "gpu_peak": torch.cuda.max_memory_allocated() if self._settings.gpu else 0,
            "versions": versions(),
            **self.facts,
        }
        Path(self._settings.result).write_text(json.dumps(found), "utf-8")

    def _synchronize(self) -> None:
        if self._settings.gpu:
            torch.cuda.synchronize()


class Watch(TrainerCallback):  # type: ignore[misc]  # transformers is not followed by mypy
    """Tells a recorder what transformers' Trainer does."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder

    def on_train_begin(self, *_others: Any, **_more: Any) -> None:
        """The clock starts."""
        self._recorder.begin()

    def on_step_end(self, *_others: Any, **_more: Any) -> None:
        """An optimizer step is over."""
        self._recorder.step_done()


def row_digest(said: Sequence[int]) -> str:
    """Of the trained tokens of one row."""
    return hashlib.sha256(b"".join(token.to_bytes(4, "little") for token in said)).hexdigest()


def labels_digest(rows: Sequence[str]) -> str:
    """Of all rows, whatever their order."""
    return hashlib.sha256("".join(sorted(rows)).encode()).hexdigest()[:16]


def _rows(batch: Any) -> list[list[int]]:
    labels, positions = batch["labels"], batch.get("position_ids")
    if positions is None or len(labels) > 1:
        return [row.tolist() for row in labels]
    flat, starts = labels[0].tolist(), (positions[0] == 0).nonzero().flatten().tolist()
    return [flat[start:end] for start, end in zip(starts, [*starts[1:], len(flat)], strict=True)]
