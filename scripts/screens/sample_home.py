"""A home with something in it, the same every time: for pictures, benchmarks and tests of the terminal UI."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from appliance.domain.dataset import Dataset
from appliance.domain.event import Metric, Notice, Progress, Started
from appliance.domain.home import Home
from appliance.domain.model import Model, Parent, Score
from appliance.domain.run import PlannedStage, Run
from appliance.store.store import Store

NOON = 1_767_268_800.0
"""2026-01-01 12:00 UTC, when everything in the home was made."""


def rows_of(count: int) -> list[dict[str, Any]]:
    """Rows as the ingest stage writes them."""
    return [
        {
            "messages": [
                {"role": "user", "content": f"第{number}号路口的周期是多少秒？"},
                {"role": "assistant", "content": f"第{number}号路口的周期是{60 + number % 90}秒。"},
            ],
            "source": f"records.jsonl:{number}",
        }
        for number in range(1, count + 1)
    ]


def add_dataset(
    root: Path,
    name: str,
    rows: list[dict[str, Any]],
    rejected: list[dict[str, Any]] | None = None,
    *,
    redacted: bool = False,
    created: float = NOON,
) -> Dataset:
    """A dataset in the registry, its files in their place; a ``redacted`` one may be trained on."""
    folder = root / "datasets" / f"dataset-{name}" / "data"
    folder.mkdir(parents=True)
    (folder / "rows.jsonl").write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    if rejected:
        (folder / "rejected.jsonl").write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rejected), "utf-8")
    counts = {"read": len(rows) + len(rejected or ()), "rows": len(rows), "accepted": len(rows), "rejected": len(rejected or ())}
    facts: dict[str, Any] = {"counts": counts, "source": {"name": "records.jsonl", "size": 1, "sha256": "0"}}
    if redacted:
        facts["redaction"] = {"passed": True}
    dataset = Dataset(
        id=f"dataset-{name}", name=name, path=str(folder), sha256="0", size=4096, counts=counts, facts=facts, run_id=None, created=created
    )
    store = Store(root)
    store.datasets.add(dataset)
    store.close()
    return dataset


def add_model(root: Path, name: str, kind: Any, parents: dict[str, str] | None = None, **scores: float) -> Model:
    """A model in the registry; its files are not there."""
    store = Store(root)
    path = Path("/data/models") / f"model-{name}" / (f"{name}.gguf" if kind == "gguf" else "model")
    model = Model(id=f"model-{name}", name=name, kind=kind, path=str(path), sha256="0", size=1_900_000, facts={}, created=NOON)
    store.models.add(model)
    for role, parent in (parents or {}).items():
        store.lineage.add(Parent(child=model.id, parent=parent, role=role))
    for score, value in scores.items():
        store.scores.add(Score(model_id=model.id, name=score, value=value, created=NOON))
    store.close()
    return model


def add_run(root: Path, name: str, state: Any, stages: tuple[str, ...] = ("train",), failure: dict[str, Any] | None = None) -> Run:
    """A run in the registry; no process belongs to it."""
    store = Store(root)
    ended = None if state in ("queued", "running") else NOON + 60
    run = Run(id=f"run-{name}", name=name, state=state, created=NOON, started=NOON, ended=ended, failure=failure or {})
    store.runs.add(run, [PlannedStage(stage=stage, spec={}) for stage in stages])
    store.close()
    return run


def tell_of_training(root: Path, run_id: str, steps: int) -> None:
    """Events of a training that has come to its ``steps``-th step of 100."""
    store = Store(root)
    events: list[Any] = [Started(total=100, unit="steps", what="training")]
    for step in range(1, steps + 1):
        events += [Metric("loss", step, 3.0 / step + 0.1), Metric("tokens_per_second", step, 420.0)]
        if step % 10 == 0:
            events.append(Metric("validation_loss", step, 3.2 / step + 0.15))
    events += [Progress(steps), Notice("warning", "rows_rejected", {"read": 10, "accepted": 8, "rejected": 2})]
    store.events.append(run_id, 0, [(NOON + place / 10, event) for place, event in enumerate(events)])
    store.close()


def filled_home(root: Path) -> Home:
    """Datasets, models and runs of every state."""
    rejected = [{"line": 3, "reason": "answer_missing", "parameters": {}, "excerpt": "问题没有答案"}]
    add_dataset(root, "records", rows_of(250), rejected)
    add_model(root, "base", "base", validation_loss=0.59)
    add_model(root, "police-1", "adapter", {"base": "model-base", "dataset": "dataset-records"}, exam_accuracy=0.982, validation_loss=0.049)
    add_model(root, "police-1-q4", "gguf", {"base": "model-base", "adapter": "model-police-1"}, exam_accuracy=0.978)
    add_run(root, "done-one", "done")
    tell_of_training(root, "run-done-one", 60)
    failure = {"code": "worker_killed", "parameters": {"signal": 9}, "exit_code": 1, "log": "last words"}
    add_run(root, "failed-one", "failed", failure=failure)
    add_run(root, "cut-off", "interrupted")
    return Home(root)
