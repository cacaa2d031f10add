"""``greenwave models``: bases in, everything that was made, where it came from."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import click

from appliance.cli.opening import open_workbench
from appliance.cli.options import detach_option, json_option
from appliance.cli.output import moment, narrate, print_facts, print_json, print_line, print_table
from appliance.cli.starting import as_object, follow_and_show, model_facts
from appliance.cli.wording import label, told
from appliance.domain.event import Notice
from appliance.domain.spec import TemplateChoice
from appliance.texts.speech import human_bytes, say


@click.group("models", help=told("models"))
def command() -> None:
    """The noun."""


@command.command("import", help=told("models import"))
@click.argument("source", type=click.Path(path_type=Path))
@click.option("--name", required=True, help=told("option.name"))
@click.option("--base", metavar="MODEL", help=told("option.base_of_adapter"))
@click.option("--chat-template", type=click.Choice(get_args(TemplateChoice)), help=told("option.chat_template"))
@detach_option
@json_option
def import_(source: Path, name: str, base: str | None, chat_template: TemplateChoice | None, detach: bool, as_json: bool) -> None:
    """Bring a base model folder, a GGUF file or an adapter in."""
    workbench = open_workbench()
    run = workbench.models.start_import(source, name, base, chat_template)
    try:
        follow_and_show(workbench, run, as_json, detach)
    except KeyboardInterrupt:
        for recorded in workbench.runs.events(run.id):
            if isinstance(recorded.event, Notice) and recorded.event.code == "copy_kept":
                narrate(say("notices", recorded.event.code, **recorded.event.parameters))
        raise


@command.command("list", help=told("models list"))
@json_option
def list_(as_json: bool) -> None:
    """Every model with its exam score."""
    workbench = open_workbench()
    models = list(workbench.models.all())
    scores = {model.id: {score.name: score.value for score in workbench.models.scores(model.id)} for model in models}
    if as_json:
        print_json([{**as_object(model), "scores": scores[model.id]} for model in models])
        return
    rows = [
        (one.name, one.id, label(f"kind_{one.kind}"), human_bytes(one.size), _percent(scores[one.id]), moment(one.created))
        for one in models
    ]
    print_table(("model", "id", "kind", "size", "exam", "created"), rows)


@command.command("show", help=told("models show"))
@click.argument("model")
@json_option
def show(model: str, as_json: bool) -> None:
    """One model's facts and scores."""
    workbench = open_workbench()
    found = workbench.models.get(model)
    scores = {score.name: score.value for score in workbench.models.scores(found.id)}
    if as_json:
        print_json({**as_object(found), "scores": scores})
        return
    print_facts(model_facts(found))
    if scores:
        print_facts({f"score_{name}": f"{value:.4f}" for name, value in scores.items()})


@command.command("lineage", help=told("models lineage"))
@click.argument("model")
@click.option("--dependants", is_flag=True, help=told("option.dependants"))
@json_option
def lineage(model: str, dependants: bool, as_json: bool) -> None:
    """What a model was made from, or what was made from it, as a tree."""
    models = open_workbench().models
    tree = models.dependants(model) if dependants else models.lineage(model)
    if as_json:
        print_json(tree)
        return
    for line in _branches(tree, "", ""):
        print_line(line)


@command.command("verify", help=told("models verify"))
@click.argument("model")
@json_option
def verify(model: str, as_json: bool) -> None:
    """Compare files with the registry's checksum."""
    verified = open_workbench().models.verify(model)
    print_json(verified) if as_json else narrate(say("notices", "model_verified", **verified))


@command.command("remove", help=told("models remove"))
@click.argument("model")
@json_option
def remove(model: str, as_json: bool) -> None:
    """Delete a model that nothing was made from."""
    removed = open_workbench().models.remove(model)
    print_json({"id": removed.id, "name": removed.name, "removed": True}) if as_json else narrate(
        say("notices", "model_removed", name=removed.name)
    )


def _branches(node: dict[str, Any], lead: str, joint: str) -> list[str]:
    role = f"{label('role_' + node['role'])}: " if node["role"] else ""
    lines = [f"{lead}{joint}{role}{node['name']} ({label('kind_' + node['kind'])})"]
    below = lead + {"": "", "├── ": "│   ", "└── ": "    "}[joint]
    others = node["parents"] if "parents" in node else node["children"]
    for index, other in enumerate(others):
        lines += _branches(other, below, "└── " if index == len(others) - 1 else "├── ")
    return lines


def _percent(scores: dict[str, float]) -> str:
    accuracy = scores.get("exam_accuracy")
    return "" if accuracy is None else f"{accuracy:.1%}"
