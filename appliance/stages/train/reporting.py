"""What is said about steps: progress for each, measurements twice a second, since a small model takes dozens of steps in that time."""

from __future__ import annotations

import resource
import time

import psutil
import torch

from appliance.domain.event import Emit, Metric, Progress
from appliance.stages.language_model.device import Device
from appliance.stages.train.history import StepRecord

INTERVAL = 0.5
"""Seconds between two sets of measurements; the history of every step is in the adapter's ``training.json``."""


class StepReporter:
    """Turns completed steps into events."""

    def __init__(self, emit: Emit, total: int, device: Device) -> None:
        self._emit = emit
        self._device = device
        self._total = total
        self._said = -INTERVAL
        self.pause()

    def pause(self) -> None:
        """Leave what happened since the last step out of the speed."""
        self._since = time.monotonic()
        self._tokens = self._trained_tokens = 0

    def report(self, record: StepRecord) -> None:
        """Say that a step is done."""
        now = time.monotonic()
        self._tokens += record.tokens
        self._trained_tokens += record.trained_tokens
        if now - self._said >= INTERVAL or record.step == self._total:
            seconds = max(now - self._since, 1e-9)
            measured = {
                "loss": record.loss,
                "learning_rate": record.learning_rate,
                "grad_norm": record.grad_norm,
                **record.measures,
                "tokens_per_second": self._tokens / seconds,
                "trained_tokens_per_second": self._trained_tokens / seconds,
                **memory_in_use(self._device),
            }
            for name, value in measured.items():
                self._emit(Metric(name, record.step, value))
            self._said = now
            self.pause()
        self._emit(Progress(record.step))


def memory_in_use(device: Device) -> dict[str, float]:
    """Bytes: what the process occupies of the machine's memory, and on a GPU what torch has given out there, now and at most."""
    measured = {"memory": float(psutil.Process().memory_info().rss)}
    if device.kind == "cuda":
        measured["gpu_memory"] = float(torch.cuda.memory_allocated())
        measured["gpu_memory_peak"] = float(torch.cuda.max_memory_allocated())
    return measured


def peak_memory() -> int:
    """Bytes of the machine's memory that the process has occupied at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024  # Linux counts in KiB
