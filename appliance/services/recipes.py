"""Recipes from files, presets and single settings, in that order of strength: preset < file < setting."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from appliance.domain.errors import ApplianceError, ExitCode
from appliance.domain.presets import PRESETS
from appliance.domain.recipe import Recipe, build_recipe


def compose_recipe(
    preset: str | None = None,
    file: Path | None = None,
    assignments: Iterable[str] = (),
    *,
    fitted: Mapping[str, Any] | None = None,
) -> Recipe:
    """One recipe from all sources; raises ``RecipeInvalid`` with every problem of all of them.

    ``fitted`` is the preset as it was fitted to a base and a machine.
    An assignment is ``section.field=value``. Raises ``preset_unknown``, ``recipe_missing``, ``recipe_not_toml``, ``assignment_malformed``.
    """
    layers: list[Mapping[str, Any]] = []
    if preset is not None:
        if preset not in PRESETS:
            raise ApplianceError("preset_unknown", ExitCode.USAGE, preset=preset, known=", ".join(PRESETS))
        layers.append(PRESETS[preset] if fitted is None else fitted)
    if file is not None:
        layers.append(_read(file))
    layers.extend(_parse(assignment) for assignment in assignments)
    return build_recipe(*layers)


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
