"""``greenwave train``: an adapter from a base and a dataset."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

from appliance.cli.opening import open_workbench
from appliance.cli.options import RecipeChoice, detach_option, device_option, json_option, recipe_options
from appliance.cli.plan import fitted_recipe
from appliance.cli.starting import follow_and_show
from appliance.cli.wording import told
from appliance.services.training_choice import TrainingChoice


@click.command("train", help=told("train"))
@click.option("--base", required=True, metavar="MODEL", help=told("option.base"))
@click.option("--dataset", required=True, help=told("option.dataset"))
@click.option("--validation", metavar="DATASET", help=told("option.validation"))
@click.option("--general", metavar="DATASET", help=told("option.general"))
@click.option("--mix", multiple=True, metavar="DATASET[=SHARE]", help=told("option.mix"))
@click.option("--terms", type=click.Path(path_type=Path), metavar="FILE", help=told("option.terms"))
@click.option("--without-redaction", is_flag=True, help=told("option.without_redaction"))
@click.option("--name", required=True, help=told("option.name"))
@recipe_options
@device_option
@detach_option
@json_option
def command(
    base: str,
    dataset: str,
    validation: str | None,
    general: str | None,
    mix: tuple[str, ...],
    terms: Path | None,
    without_redaction: bool,
    name: str,
    recipe: RecipeChoice,
    device: Literal["auto", "cpu", "cuda"],
    detach: bool,
    as_json: bool,
) -> None:
    """Train and follow."""
    workbench = open_workbench()
    fitted = fitted_recipe(workbench, base, dataset, recipe, device)
    choice = TrainingChoice(base, dataset, fitted, validation, device, terms, general, mix, without_redaction)
    follow_and_show(workbench, workbench.models.start_training(choice, name), as_json, detach)
