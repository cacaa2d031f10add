"""``greenwave evaluate``: how good a model is, on held-out rows or an exam."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

from appliance.cli.opening import open_workbench
from appliance.cli.options import detach_option, device_option, json_option
from appliance.cli.output import print_facts, print_json
from appliance.cli.watching import watch
from appliance.cli.wording import told


@click.command("evaluate", help=told("evaluate"))
@click.argument("model")
@click.option("--dataset", help=told("option.held_out"))
@click.option("--exam", type=click.Path(path_type=Path), help=told("option.exam"))
@click.option("--measure-merge", is_flag=True, help=told("option.measure_merge"))
@device_option
@detach_option
@json_option
def command(
    model: str,
    dataset: str | None,
    exam: Path | None,
    measure_merge: bool,
    device: Literal["auto", "cpu", "cuda"],
    detach: bool,
    as_json: bool,
) -> None:
    """Examine and show the scores."""
    workbench = open_workbench()
    run = workbench.models.start_evaluation(model, dataset, exam, device, measure_merge)
    if detach:
        print_json({"run": run.id, "name": run.name, "state": run.state}) if as_json else click.echo(run.id)
        return
    watch(workbench, run)
    found = workbench.models.get(model)
    scores = {score.name: score.value for score in workbench.models.scores(found.id) if score.run_id == run.id}
    facts = workbench.runs.stages(run.id)[0].facts.get("report", {})
    if as_json:
        print_json({"id": found.id, "name": found.name, "path": found.path, "run": run.id, "scores": scores, "facts": facts})
    else:
        print_facts({"model": found.name, **{f"score_{name}": f"{value:.4f}" for name, value in scores.items()}})
