"""Our trainer as the product runs it: the stage ``train`` through its specification, in the worker.

``options``: ``recipe`` holds further fields of the training recipe. With ``start_only`` the worker's own main runs in this process, so that
its first forward pass can be seen from inside; otherwise it is a child, and its events are the measurement.
"""

from __future__ import annotations

import json
import sys
import time
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import numpy as np

from appliance.domain.event import Metric, Started
from appliance.domain.recipe import TrainingRecipe
from appliance.domain.spec import TrainSpec
from scripts.training_bench.settings import ALPHA, DROPOUT, RANK, RATE, SEED, Settings


def main(settings: Settings) -> None:
    """Train, or only start."""
    work = Path(settings.work)
    work.mkdir(parents=True, exist_ok=True)
    for name in ("adapter", "checkpoints"):
        if (work / name).exists():
            raise FileExistsError(work / name)
    recipe = TrainingRecipe(
        rank=RANK,
        alpha=ALPHA,
        dropout=DROPOUT,
        learning_rate=RATE,
        seed=SEED,
        epochs=1.0,
        max_steps=settings.steps,
        batch_size=settings.step_rows,
        max_length=settings.max_length,
        save_steps=1_000_000,
        **settings.options.get("recipe", {}),
    )
    spec = TrainSpec(
        base=settings.base,
        train_rows=settings.rows,
        validation_rows="",
        output=str(work / "adapter"),
        checkpoints=str(work / "checkpoints"),
        cache=settings.options["cache"],
        recipe=recipe,
        device="cuda" if settings.gpu else "cpu",
    )
    if settings.start_only:
        start(spec, settings)
    else:
        train(spec, settings)


def start(spec: TrainSpec, settings: Settings) -> None:
    """The worker in this process, until the first forward pass."""
    place = Path(settings.work) / "spec.json"
    place.write_bytes(msgspec.json.encode(spec))

    from appliance.running import worker
    from scripts.training_bench.start import stop_at_first_forward

    imported = worker.imported

    def watched(name: str) -> ModuleType:
        module = imported(name)
        stop_at_first_forward(Path(settings.result))
        return module

    worker.imported = watched
    sys.exit(worker.main(["train", str(place)]))


def train(spec: TrainSpec, settings: Settings) -> None:
    """The worker as a child: a step is over when its loss is told."""
    from appliance.running.direct import stage_events

    ends: list[float] = []
    told: dict[str, list[float]] = {}
    for event in stage_events("train", spec, seconds=3600.0):
        if isinstance(event, Started) and event.unit == "steps":
            ends.append(time.perf_counter())
        elif isinstance(event, Metric):
            told.setdefault(event.name, []).append(event.value)
            if event.name == "loss":
                ends.append(time.perf_counter())
    story = json.loads((Path(spec.output) / "training.json").read_text("utf-8"))
    steps = story["history"]["steps"]
    assert len(ends) == len(steps) + 1, "steps shorter than half a second are not told one by one"

    from scripts.training_bench.recorder import labels_digest, row_digest
    from scripts.training_bench.start import versions

    rows = _trained_rows(Path(spec.cache))
    result: dict[str, Any] = {
        "seconds": [after - before for before, after in pairwise(ends)],
        "trained": [step["trained_tokens"] for step in steps],
        "processed": [step["tokens"] for step in steps],
        "labels": labels_digest([row_digest(row) for row in rows]),
        "rows": len(rows),
        "peak_memory": story["facts"]["peak_memory"],
        "gpu_peak": max(told.get("gpu_memory_peak", [0])),
        "recomputed": story["facts"]["blocks_recomputed"] / story["plan"]["blocks"],
        "arithmetic": story["facts"]["compute_dtype"],
        "versions": versions(),
    }
    Path(settings.result).write_text(json.dumps(result), "utf-8")


def _trained_rows(cache: Path) -> list[list[int]]:
    """The trained tokens of every row, from what the stage kept of them."""
    from safetensors.numpy import load_file

    (place,) = (cache / "tokens").glob("*.safetensors")
    kept = load_file(place)
    pieces = np.split(np.arange(len(kept["ids"])), kept["ends"][1:-1])
    return [kept["ids"][piece][kept["trained"][piece]].tolist() for piece in pieces]


if __name__ == "__main__":
    main(Settings.from_json(sys.argv[1]))
