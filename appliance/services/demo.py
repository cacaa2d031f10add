"""The demonstration: the whole life of a model on the embedded base and sample records, as one run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from appliance import demo
from appliance.domain.model import Model
from appliance.domain.run import Run, StageRecord
from appliance.files.checksum import folder_manifest, manifest_sha256
from appliance.services.datasets import SPLIT_SUFFIXES, split_names
from appliance.services.names import free_stem
from appliance.services.planning import ModelRef, Plan
from appliance.services.recipes import compose_recipe
from appliance.services.workbench import Workbench

BASE_NAME = "teaching-base"

SUFFIXES = ("-records", "-clean", "-redacted", *SPLIT_SUFFIXES, "-adapter", "-q4_k_m")

EXAMINED = ("base", "tuned", "quantized")
"""Titles ``examine_…`` of the three evaluations, in their order."""


@dataclass(frozen=True)
class DemoReport:
    """What the demonstration measured."""

    rows: dict[str, int]
    """``read``, ``accepted``, ``rejected`` of the import; ``cleaned``, ``train``, ``validation`` after it."""
    exam: dict[str, float]
    """Share of exam questions answered right, for base, tuned and quantized model."""
    loss_curve: list[float]
    sizes: dict[str, int]
    """Bytes of base, adapter and GGUF file."""
    seconds: dict[str, float]
    """Per stage, by the stage's title."""
    peak_memory: int
    """Largest resident set of any process, in bytes."""
    model: Model


def start_demo(workbench: Workbench) -> Run:
    """Plan and start the demonstration; names get a number when they are taken."""
    recipe = compose_recipe(file=demo.recipe_file())
    stem = free_stem(workbench.store, "demo", SUFFIXES)
    run_id, plan = workbench.runs.new_plan()
    base = _base(workbench, plan)
    records = plan.ingest(demo.records_file(), f"{stem}-records")
    cleaned = plan.clean(records, f"{stem}-clean", recipe.cleaning)
    redacted = plan.redact(cleaned, f"{stem}-redacted", recipe.redaction)
    train_rows, validation_rows = plan.split(redacted, split_names(stem), recipe.split)
    plan.evaluate(base, validation_rows, demo.exam_file(), title="examine_base")
    tuned = plan.train(base, train_rows, validation_rows, f"{stem}-adapter", recipe.training)
    plan.evaluate(tuned, validation_rows, demo.exam_file(), title="examine_tuned")
    quantized = plan.export(tuned, f"{stem}-q4_k_m", recipe.export, validation=validation_rows)
    plan.evaluate(quantized, None, demo.exam_file(), title="examine_quantized")
    return workbench.runs.start(run_id, stem, plan, recipe)


def demo_report(workbench: Workbench, run: Run) -> DemoReport:
    """Gather what a finished demonstration has measured."""
    stages = {record.title or record.stage: record for record in workbench.runs.stages(run.id)}
    made = {model.kind: model for model in workbench.models.made_by(run.id)}
    quantized, adapter = made["gguf"], made["adapter"]
    base = workbench.models.reference(adapter).base
    assert base is not None
    counts = _facts(stages["ingest"], "dataset")["counts"]
    rows = {name: counts[name] for name in ("read", "accepted", "rejected")}
    rows["cleaned"] = _facts(stages["clean"], "dataset")["counts"]["rows"]
    rows |= {side: _facts(stages["split"], side)["counts"]["rows"] for side in ("train", "validation")}
    return DemoReport(
        rows=rows,
        exam={name: _facts(stages[f"examine_{name}"], "report")["scores"]["exam_accuracy"] for name in EXAMINED},
        loss_curve=_facts(stages["train"], "adapter").get("loss_curve", []),
        sizes={"base": workbench.models.get(base.id).size, "adapter": adapter.size, "gguf": quantized.size},
        seconds={title: round((record.ended or 0.0) - (record.started or 0.0), 2) for title, record in stages.items()},
        peak_memory=max(record.peak_memory for record in stages.values()),
        model=quantized,
    )


def demo_question() -> str:
    """A question of the exam for the live answer."""
    import msgspec

    with demo.exam_file().open("rb") as exam:
        return str(msgspec.json.decode(exam.readline())["question"])


def _base(workbench: Workbench, plan: Plan) -> ModelRef:
    """The teaching base of an earlier demonstration if it is still what the package holds, else a new copy."""
    known = workbench.store.models.find(BASE_NAME)
    wanted = folder_manifest(demo.base_folder())
    if known is not None and known.kind == "base" and Path(known.path).is_dir():
        there = folder_manifest(Path(known.path))
        if manifest_sha256(there) == known.sha256 and there.items() <= wanted.items():
            return ModelRef.of(known)
    return plan.adopt(demo.base_folder(), free_stem(workbench.store, BASE_NAME))


def _facts(record: StageRecord, role: str) -> dict[str, Any]:
    facts: dict[str, Any] = record.facts[role]
    return facts
