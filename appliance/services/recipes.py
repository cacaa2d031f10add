"""Recipes from files, presets and single settings, in that order of strength: preset < file < setting."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from appliance.domain.errors import ApplianceError, ExitCode
from appliance.domain.preset_fitting import Layer
from appliance.domain.presets import PRESETS, Preset
from appliance.domain.recipe import Recipe, build_recipe


def compose_recipe(
    preset: str | None = None,
    file: Path | None = None,
    assignments: Iterable[str] = (),
) -> Recipe:
    """One recipe from all sources; raises ``RecipeInvalid`` with every problem of all of them.

    An assignment is ``section.field=value``. Raises ``preset_unknown``, ``recipe_missing``, ``recipe_not_toml``, ``assignment_malformed``.
    """
    named = named_layers(file, assignments)
    if preset is None:
        return build_recipe(*named)
    chosen = known_preset(preset)
    return build_recipe(chosen.layer, *named, rate_share=chosen.rate_share)


def named_layers(file: Path | None = None, assignments: Iterable[str] = ()) -> list[Layer]:
    """What a person has chosen himself, the stronger last; raises what ``compose_recipe`` does."""
    return [*([_read(file)] if file is not None else []), *map(_parse, assignments)]


def known_preset(name: str) -> Preset:
    """The preset with this name; raises ``preset_unknown``."""
    if name not in PRESETS:
        raise ApplianceError("preset_unknown", ExitCode.USAGE, preset=name, known=", ".join(PRESETS))
    return PRESETS[name]


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text("utf-8"))
    except OSError as error:
        raise ApplianceError("recipe_missing", ExitCode.USAGE, path=str(file), reason=error.strerror or str(error)) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ApplianceError("recipe_not_toml", ExitCode.USAGE, path=str(file), reason=str(error)) from error


def _parse(assignment: str) -> dict[str, dict[str, str]]:
    key, equals, value = assignment.partition("=")
    section, dot, field = key.strip().partition(".")
    if not (equals and dot and field):
        raise ApplianceError("assignment_malformed", ExitCode.USAGE, assignment=assignment[:80])
    return {section: {field: value.strip()}}
