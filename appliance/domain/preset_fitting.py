"""Presets fitted to a base, its rows and the device: which fields differ from the preset, and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from appliance.domain.family import Family
from appliance.domain.fitting import fit
from appliance.domain.memory import BaseShape, Load, Room
from appliance.domain.presets import PRESETS
from appliance.domain.recipe import TrainingRecipe, build_recipe

Layer = Mapping[str, Mapping[str, Any]]
"""A part of a recipe: ``{section: {field: value}}``."""
_ROWS_AT_ONCE = {"cpu": (4, 2, 1), "cuda": (16, 8, 4, 2, 1)}
"""Micro-batches to try, the largest first. Unpacking NF4 costs a GPU the same for every micro-batch: the more tokens in it, the better."""
_MANY_ROWS = ((20_000, 0.34), (5_000, 0.67))
"""(rows, share of the preset's epochs): 10,000 rows make a specialist of a 7 B base in fewer passes."""
LARGE_BASES = ((20_000_000_000, 0.25), (10_000_000_000, 0.5))
"""(parameters, share of the preset's learning rate): larger bases learn with smaller steps."""


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """One field that was fitted; ``reason`` is a key of the texts' ``reasons``."""

    field: str
    """Of the section ``training``."""
    value: Any
    reason: str
    parameters: dict[str, Any]


class FittedPreset(msgspec.Struct, frozen=True, kw_only=True):
    """A preset as a layer of a recipe, and what was fitted in it."""

    layer: dict[str, dict[str, Any]]
    rate_share: float
    """Times the usual learning rate of method and objective, where no recipe names a rate."""
    choices: tuple[Choice, ...]


def fit_preset(name: str, shape: BaseShape, family: Family, room: Room, rows: int, named: Sequence[Layer] = ()) -> FittedPreset:
    """The preset ``name`` for this base, this device and so many rows.

    ``named`` are layers of a recipe that stand above the preset: it is fitted to their method, and what they name is left to them. Raises
    ``RecipeInvalid`` where they are no recipe.
    """
    preset = PRESETS[name]
    recipe = build_recipe(preset.layer, *named, rate_share=preset.rate_share).training
    named_fields = {field for layer in named for field in layer.get("training", ())}
    choices, rate_share = [], preset.rate_share
    share = next((share for most, share in LARGE_BASES if shape.parameters >= most), 1.0)
    if share != 1.0 and "learning_rate" not in named_fields:
        rate_share *= share
        rate = float(f"{recipe.learning_rate * share:.12g}")
        choices.append(_choice("learning_rate", rate, "large_base", parameters=shape.parameters))
    share = next((share for least, share in _MANY_ROWS if rows >= least), 1.0)
    if share != 1.0 and recipe.epochs > 1 and "epochs" not in named_fields:
        choices.append(_choice("epochs", max(1.0, float(round(recipe.epochs * share))), "many_rows", rows=rows))
    if "micro_batch_size" not in named_fields:
        count, tokens = _rows_at_once(shape, family, recipe, room)
        if count != recipe.micro_batch_size:
            choices.append(_choice("micro_batch_size", count, "memory_found", free=room.free, device=room.name, tokens=tokens))
    layer = {section: dict(fields) for section, fields in preset.layer.items()}
    layer.setdefault("training", {}).update((choice.field, choice.value) for choice in choices if choice.field != "learning_rate")
    return FittedPreset(layer=layer, rate_share=rate_share, choices=tuple(choices))


def _rows_at_once(shape: BaseShape, family: Family, recipe: TrainingRecipe, room: Room) -> tuple[int, int]:
    """The most rows for which there is room, or else as few as there can be, and their tokens."""
    *more, least = _ROWS_AT_ONCE[room.kind]
    halves = 2 if recipe.objective == "preferences" else 1  # a pair goes through together, however few rows do
    for count in (*more, least):
        tokens = max(count, halves) * recipe.max_length
        load = Load(tokens=tokens, trained=tokens // 2, longest=recipe.max_length)
        if count == least or fit(shape, family, msgspec.structs.replace(recipe, micro_batch_size=count), room, load).fits:
            break
    return count, tokens


def _choice(field: str, value: Any, reason: str, **parameters: Any) -> Choice:
    return Choice(field=field, value=value, reason=reason, parameters=parameters)
