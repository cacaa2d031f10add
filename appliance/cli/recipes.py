"""``greenwave recipes``: every choice of a run, the presets, and a check of a recipe file."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from appliance.cli.options import json_option
from appliance.cli.output import narrate, print_json, print_table
from appliance.cli.wording import told
from appliance.domain.presets import PRESETS, Preset
from appliance.domain.recipe import Setting, settings
from appliance.services.recipes import compose_recipe
from appliance.texts.speech import catalogue, language_from_environment, say


@click.group("recipes", help=told("recipes"))
def command() -> None:
    """The noun."""


@command.command("list", help=told("recipes list"))
@json_option
def list_(as_json: bool) -> None:
    """The presets."""
    if as_json:
        print_json([_preset(name, preset) for name, preset in PRESETS.items()])
        return
    print_table(("preset", "meaning"), [(name, say("presets", name)) for name in PRESETS])


@command.command("show", help=told("recipes show"))
@click.argument("preset", required=False)
@json_option
def show(preset: str | None, as_json: bool) -> None:
    """Every field with its value, range and meaning."""
    recipe = msgspec.to_builtins(compose_recipe(preset))
    words = catalogue(language_from_environment()).get("settings", {})
    values = {setting.key: recipe[setting.key.split(".")[0]][setting.key.split(".")[1]] for setting in settings()}
    if as_json:
        print_json([_as_object(setting, values[setting.key], words) for setting in settings()])
        return
    rows = [(one.key, str(values[one.key]), bounds(one), words.get(one.key, {}).get("label", "")) for one in settings()]
    print_table(("setting", "value", "range", "meaning"), rows)


@command.command("check", help=told("recipes check"))
@click.argument("file", type=click.Path(path_type=Path))
@json_option
def check(file: Path, as_json: bool) -> None:
    """Validate a recipe file and report every problem in it."""
    recipe = compose_recipe(file=file)
    print_json(msgspec.to_builtins(recipe)) if as_json else narrate(say("notices", "recipe_valid", path=str(file)))


def _preset(name: str, preset: Preset) -> dict[str, object]:
    return {"name": name, "settings": preset.layer, "learning_rate_share": preset.rate_share, "help": say("presets", name)}


def bounds(setting: Setting) -> str:
    """``1 … 1024``, ``> 0 … 0.1``, or the choices."""
    if setting.kind == "choice":
        return " | ".join(setting.choices)
    if setting.kind == "bool":
        return "true | false"
    if setting.kind == "text":
        return " | ".join((*setting.choices, "a,b,…"))
    low = f"> {setting.above}" if setting.above is not None else f"{setting.minimum}"
    return f"{low} … {setting.maximum}"


def _as_object(setting: Setting, value: object, words: dict[str, dict[str, str]]) -> dict[str, object]:
    told_words = words.get(setting.key, {})
    return {"key": setting.key, "value": value, "default": setting.default, "kind": setting.kind, "range": bounds(setting), **told_words}
