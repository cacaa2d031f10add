"""What every command that starts a run does: start it, follow it or not, and print what it made."""

from __future__ import annotations

from typing import Any

import click

from appliance.cli.output import moment, print_facts, print_json
from appliance.cli.watching import watch
from appliance.cli.wording import label
from appliance.domain.dataset import Dataset
from appliance.domain.model import Model
from appliance.domain.run import Run
from appliance.services.workbench import Workbench
from appliance.texts.speech import human_bytes, say


def follow_and_show(workbench: Workbench, run: Run, as_json: bool, detach: bool) -> None:
    """Follow the run to its end and print the last thing it made; with ``detach`` print the run and leave it going."""
    if detach:
        print_json({"run": run.id, "name": run.name, "state": run.state}) if as_json else click.echo(run.id)
        return
    watch(workbench, run)
    datasets, models = workbench.datasets.made_by(run.id), workbench.models.made_by(run.id)
    made: list[Dataset | Model] = [*models, *datasets]
    if as_json:
        shown = [as_object(found) for found in made]
        others = {"also_made": shown[1:]} if len(shown) > 1 else {}
        print_json({**shown[0], "run": run.id, **others} if shown else {"run": run.id, "state": "done"})
        return
    for found in made:
        print_facts(dataset_facts(found) if isinstance(found, Dataset) else model_facts(found))


def as_object(found: Dataset | Model) -> dict[str, Any]:
    """A dataset or model as ``--json`` prints it."""
    return {name: getattr(found, name) for name in found.__struct_fields__}


def dataset_facts(dataset: Dataset) -> dict[str, str]:
    """A dataset as a person reads it."""
    counts = {name: f"{value:,}" for name, value in dataset.counts.items()}
    return {"dataset": dataset.name, "id": dataset.id, **counts, "size": human_bytes(dataset.size), "path": dataset.path}


def model_facts(model: Model) -> dict[str, str]:
    """A model as a person reads it."""
    return {
        "model": model.name,
        "id": model.id,
        "kind": model.kind,
        "size": human_bytes(model.size),
        "path": model.path,
        **_export_facts(model.facts),
        "created": moment(model.created),
    }


def _export_facts(facts: dict[str, Any]) -> dict[str, str]:
    """How a file for serving was made and checked, and what was left out; nothing for other models."""
    shown = {}
    if importance := facts.get("importance"):
        shown["importance"] = say("labels", "importance_from", **importance)
    if check := facts.get("check"):
        shown["file_check"] = label("check_passed" if check["done"] else "check_left_out")
    if quality := facts.get("quality"):
        measured = say("notices", "quality_measured", **quality)
        shown["quality"] = measured if quality["done"] else say("labels", f"quality_left_out_{quality['reason']}")
    return shown
