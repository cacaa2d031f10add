"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from appliance.cli.wording import told

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

json_option: Decorator = click.option("--json", "as_json", is_flag=True, help=told("option.json"))
detach_option: Decorator = click.option("--detach", is_flag=True, help=told("option.detach"))
preset_option: Decorator = click.option("--preset", metavar="NAME", help=told("option.preset"))
recipe_option: Decorator = click.option("--recipe", "recipe_file", type=click.Path(path_type=Path), help=told("option.recipe"))
set_option: Decorator = click.option("--set", "assignments", multiple=True, metavar="SECTION.FIELD=VALUE", help=told("option.set"))
device_option: Decorator = click.option(
    "--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True, help=told("option.device")
)


def recipe_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """``--preset``, ``--recipe`` and ``--set``."""
    return preset_option(recipe_option(set_option(command)))
