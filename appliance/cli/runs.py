"""``greenwave runs``: what is going on, what went on, and how to stop or resume it."""

from __future__ import annotations

from math import isfinite
from typing import Any

import click
import msgspec

from appliance.cli.opening import open_workbench
from appliance.cli.options import json_option
from appliance.cli.output import failure_sentence, moment, narrate, print_facts, print_json, print_json_lines, print_table
from appliance.cli.sparkline import sparkline
from appliance.cli.starting import follow_and_show
from appliance.cli.watching import raise_if_unwell, stage_name, watch
from appliance.cli.wording import label, told
from appliance.domain.run import Run
from appliance.services.workbench import Workbench
from appliance.texts.foreign import printable_lines
from appliance.texts.speech import explain, human_bytes, human_duration, say

_DRAWN = ("loss", "validation_loss", "general_loss", "tokens_per_second")


@click.group("runs", help=told("runs"))
def command() -> None:
    """The noun."""


@command.command("list", help=told("runs list"))
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 1_000_000_000), help=told("option.limit"))
@json_option
def list_(limit: int, as_json: bool) -> None:
    """Runs, newest first."""
    workbench = open_workbench()
    runs = list(workbench.runs.newest(limit))
    if as_json:
        print_json([_as_object(workbench, run) for run in runs])
        return
    rows = [(run.name, run.id, label(f"state_{run.state}"), moment(run.created), _duration(run)) for run in runs]
    print_table(("run", "id", "state", "created", "duration"), rows)


@command.command("show", help=told("runs show"))
@click.argument("run")
@json_option
def show(run: str, as_json: bool) -> None:
    """One run: its stages, and why it failed if it did."""
    workbench = open_workbench()
    found = workbench.runs.get(run)
    curves = workbench.runs.curves(found.id)
    if as_json:
        print_json({**_as_object(workbench, found), "curves": curves})
        return
    print_facts({"run": found.name, "id": found.id, "state": label(f"state_{found.state}"), "created": moment(found.created)})
    rows = [
        (stage_name(stage), label(f"state_{stage.state}"), _stage_duration(stage.started, stage.ended), human_bytes(stage.peak_memory))
        for stage in workbench.runs.stages(found.id)
    ]
    print_table(("stage", "state", "duration", "memory"), rows)
    drawn = {curve.name: sparkline([value for _, value in curve.points if isfinite(value)]) for curve in curves if curve.name in _DRAWN}
    if drawn:
        click.echo()
        print_facts(drawn)
    if found.failure:
        click.echo(printable_lines(f"{label('error')}: {failure_sentence(found.failure)}"))


@command.command("watch", help=told("runs watch"))
@click.argument("run")
@click.option("--jsonl", "as_json_lines", is_flag=True, help=told("option.jsonl"))
def watch_(run: str, as_json_lines: bool) -> None:
    """Follow a run until it is over."""
    workbench = open_workbench()
    found = workbench.runs.get(run)
    if as_json_lines:
        print_json_lines(msgspec.to_builtins(recorded) for recorded in workbench.runs.follow(found.id))
        raise_if_unwell(workbench.runs.get(found.id))
    else:
        watch(workbench, found, is_ours=False)


@command.command("cancel", help=told("runs cancel"))
@click.argument("run")
@json_option
def cancel(run: str, as_json: bool) -> None:
    """End a run for good; wait until it is over."""
    workbench = open_workbench()
    ended = workbench.runs.wait(workbench.runs.cancel(run).id)
    if as_json:
        print_json(_as_object(workbench, ended))
    else:
        narrate(say("notices", "run_ended", run=ended.id, state=label(f"state_{ended.state}")))


@command.command("resume", help=told("runs resume"))
@click.argument("run", required=False)
@click.option("--interrupted", "all_interrupted", is_flag=True, help=told("option.interrupted"))
@click.option("--detach", is_flag=True, help=told("option.detach"))
@json_option
def resume(run: str | None, all_interrupted: bool, detach: bool, as_json: bool) -> None:
    """Go on with a run that was interrupted, cancelled or failed, or with all that were interrupted."""
    if (run is None) != all_interrupted:
        raise click.UsageError(label("run_or_interrupted"))
    workbench = open_workbench()
    if run is None:
        _resume_interrupted(workbench, as_json)
        return
    follow_and_show(workbench, workbench.runs.resume(run), as_json, detach)


def _resume_interrupted(workbench: Workbench, as_json: bool) -> None:
    """Set them going and leave: they are nobody's in particular."""
    resumed, refused = workbench.runs.resume_interrupted()
    for run, error in refused:
        narrate(say("notices", "run_not_resumed", run=run.name, reason=explain(error)[0]))
    if as_json:
        print_json([_as_object(workbench, run) for run in resumed])
        return
    for run in resumed:
        narrate(say("notices", "run_resumed", run=run.name))


def _as_object(workbench: Workbench, run: Run) -> dict[str, Any]:
    stages = [msgspec.to_builtins(stage) for stage in workbench.runs.stages(run.id)]
    return {**msgspec.to_builtins(run), "stages": stages}


def _duration(run: Run) -> str:
    return _stage_duration(run.started, run.ended)


def _stage_duration(started: float | None, ended: float | None) -> str:
    return human_duration(ended - started) if started and ended else ""
