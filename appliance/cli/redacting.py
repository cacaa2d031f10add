"""``greenwave datasets redact`` and ``review``: personal data replaced or looked for, and what a person has to decide."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from appliance.cli.opening import open_workbench
from appliance.cli.options import RecipeChoice, detach_option, json_option, recipe_options
from appliance.cli.output import narrate, print_json, print_table
from appliance.cli.starting import follow_and_show
from appliance.cli.watching import watch
from appliance.cli.wording import label, told
from appliance.domain.errors import ApplianceError, ExitCode
from appliance.domain.redaction import Decision
from appliance.domain.run import Run
from appliance.services.redaction import read_decisions
from appliance.services.workbench import Workbench
from appliance.texts.speech import say


@click.command("redact", help=told("datasets redact"))
@click.argument("dataset")
@click.option("--name", help=told("option.name"))
@click.option("--check", is_flag=True, help=told("option.check"))
@click.option("--key", "key_file", type=click.Path(path_type=Path), metavar="FILE", help=told("option.key"))
@click.option("--keep-key", is_flag=True, help=told("option.keep_key"))
@click.option("--decisions", type=click.Path(path_type=Path), metavar="FILE", help=told("option.decisions"))
@click.option("--by", "decided_by", default="", metavar="PERSON", help=told("option.by"))
@recipe_options
@detach_option
@json_option
def redact(
    dataset: str,
    name: str | None,
    check: bool,
    decisions: Path | None,
    recipe: RecipeChoice,
    detach: bool,
    as_json: bool,
    **choices: Any,
) -> None:
    """Replace personal data, or with ``--check`` look for it and end with 3 if there is any."""
    rules = recipe.composed().redaction
    decided: dict[str, Any] = {"decisions": _decisions(decisions), "decided_by": choices["decided_by"]}
    workbench = open_workbench()
    if check:
        if name or choices["key_file"] or choices["keep_key"]:
            raise ApplianceError("check_makes_nothing", ExitCode.USAGE)
        run = workbench.redaction.start_check(dataset, rules, **decided)
        _show_check(workbench, run, dataset, as_json, detach)
        return
    chosen = {"key_file": choices["key_file"], "keep_key": choices["keep_key"]}
    run = workbench.redaction.start_redaction(dataset, name, rules, **chosen, **decided)
    follow_and_show(workbench, run, as_json, detach)
    if not (as_json or detach):
        for made in workbench.datasets.made_by(run.id):
            _show_kinds(made.facts["redaction"])
            if made.facts["redaction"]["key_kept"]:
                narrate(say("notices", "key_kept", path=str(workbench.home.dataset_key(made.id))))


@click.command("review", help=told("datasets review"))
@click.argument("dataset")
@click.option("--rows", "limit", default=50, show_default=True, type=click.IntRange(1, 100_000), help=told("option.rows"))
@click.option("--write", "target", type=click.Path(path_type=Path), metavar="FILE", help=told("option.write_decisions"))
@json_option
def review(dataset: str, limit: int, target: Path | None, as_json: bool) -> None:
    """List uncertain finds, or write them as a table to be filled in."""
    workbench = open_workbench()
    if target is not None:
        count = workbench.redaction.write_decisions(dataset, target)
        print_json({"path": str(target), "count": count}) if as_json else narrate(
            say("notices", "decisions_written", count=count, path=str(target))
        )
        return
    entries = list(workbench.redaction.review(dataset, limit))
    if as_json:
        print_json(entries)
        return
    rows = [(one.place, say("kinds", one.kind), str(one.count), one.context or one.masked) for one in entries]
    print_table(("place", "kind_of_data", "count", "context"), rows)


def _decisions(path: Path | None) -> tuple[Decision, ...]:
    return read_decisions(path) if path else ()


def _show_check(workbench: Workbench, run: Run, dataset: str, as_json: bool, detach: bool) -> None:
    """Follow a check and show its report; raises ``personal_data_found`` if it is no pass."""
    if detach:
        follow_and_show(workbench, run, as_json, detach)
        return
    watch(workbench, run)
    report = workbench.redaction.check_report(run.id)
    found = workbench.datasets.get(dataset)
    if as_json:
        print_json({"id": found.id, "name": found.name, "path": found.path, "facts": report, "run": run.id})
    else:
        _show_kinds(report)
    if not report["passed"]:
        count = sum(kind["open"] + kind["left"] for kind in report["kinds"].values())
        raise ApplianceError("personal_data_found", name=found.name, count=count)


def _show_kinds(report: dict[str, Any]) -> None:
    """Counts and masked examples of each kind."""
    rows = [
        (say("kinds", kind), f"{one['found']:,}", f"{one['uncertain']:,}", f"{one['kept']:,}", "  ".join(one["examples"]))
        for kind, one in report["kinds"].items()
    ]
    if rows:
        print_table(("kind_of_data", "found", "uncertain", "kept", "examples"), rows)
    narrate(f"{label('redaction')}: {say('labels', 'redaction_passed' if report['passed'] else 'redaction_not_passed')}")
