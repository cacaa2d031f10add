"""``greenwave datasets groups`` and ``mix``: rows that belong together, and datasets that are put together."""

from __future__ import annotations

from typing import Literal

import click

from appliance.cli.describing import ProgressBar
from appliance.cli.opening import open_workbench
from appliance.cli.options import RecipeChoice, detach_option, json_option, recipe_options
from appliance.cli.output import narrate, print_json, print_line
from appliance.cli.starting import follow_and_show
from appliance.cli.wording import label, told
from appliance.texts.speech import say


@click.command("groups", help=told("datasets groups"))
@click.argument("dataset")
@click.option("--contradictions", is_flag=True, help=told("option.contradictions"))
@click.option("--similarity", default=0.8, show_default=True, type=float, help=told("option.similarity"))
@click.option("--limit", default=10, show_default=True, type=click.IntRange(1, 1000), help=told("option.groups_limit"))
@json_option
def groups(dataset: str, contradictions: bool, similarity: float, limit: int, as_json: bool) -> None:
    """Rows that say nearly the same, or that answer one question differently."""
    workbench = open_workbench()
    kind: Literal["near_duplicates", "contradictions"] = "contradictions" if contradictions else "near_duplicates"
    bar = ProgressBar()
    facts, found = workbench.groups.find(dataset, kind, similarity, bar.tell)
    bar.end()
    shown = [group for group, _ in zip(found, range(limit), strict=False)]
    if as_json:
        print_json({"dataset": dataset, "kind": kind, "facts": facts, "groups": shown})
        return
    for group in shown:
        click.echo(f"── {say('labels', 'group_of', group=group['group'], size=group['size'])}")
        for row in group["rows"]:
            print_line(f"{label('line')} {row['line']}: {row['excerpt']}")
    narrate(say("notices", f"{kind}_found", **facts))


@click.command("mix", help=told("datasets mix"))
@click.argument("parts", nargs=-1, required=True, metavar="DATASET[:SHARE]...")
@click.option("--name", required=True, help=told("option.name"))
@click.option("--general", metavar="DATASET", help=told("option.mix_general"))
@click.option("--base", metavar="MODEL", help=told("option.counting_base"))
@recipe_options
@detach_option
@json_option
def mix(
    parts: tuple[str, ...],
    name: str,
    general: str | None,
    base: str | None,
    recipe: RecipeChoice,
    detach: bool,
    as_json: bool,
) -> None:
    """Make one dataset of several."""
    workbench = open_workbench()
    follow_and_show(workbench, workbench.datasets.start_mix(parts, name, recipe.composed().mix, general, base), as_json, detach)
