"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any

import click

from appliance.cli.wording import told
from appliance.domain.preset_fitting import Layer
from appliance.domain.recipe import Recipe
from appliance.services.recipes import compose_recipe, named_layers

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

json_option: Decorator = click.option("--json", "as_json", is_flag=True, help=told("option.json"))
detach_option: Decorator = click.option("--detach", is_flag=True, help=told("option.detach"))
preset_option: Decorator = click.option("--preset", metavar="NAME", help=told("option.preset"))
recipe_option: Decorator = click.option("--recipe", "recipe_file", type=click.Path(path_type=Path), help=told("option.recipe"))
set_option: Decorator = click.option("--set", "assignments", multiple=True, metavar="SECTION.FIELD=VALUE", help=told("option.set"))
device_option: Decorator = click.option(
    "--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True, help=told("option.device")
)


@dataclass(frozen=True)
class RecipeChoice:
    """What ``--preset``, ``--recipe`` and ``--set`` say."""

    preset: str | None
    file: Path | None
    assignments: tuple[str, ...]

    def composed(self, *more: str) -> Recipe:
        """The recipe, with ``more`` assignments of other options; raises ``recipe_wrong`` with all that is wrong."""
        return compose_recipe(self.preset, self.file, (*self.assignments, *more))

    def named(self) -> list[Layer]:
        """What stands above the preset."""
        return named_layers(self.file, self.assignments)


def recipe_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """``--preset``, ``--recipe`` and ``--set``, which come as one argument ``recipe``, a RecipeChoice."""

    @wraps(command)
    def with_choice(*arguments: Any, preset: str | None, recipe_file: Path | None, assignments: tuple[str, ...], **options: Any) -> Any:
        return command(*arguments, recipe=RecipeChoice(preset, recipe_file, assignments), **options)

    return preset_option(recipe_option(set_option(with_choice)))
