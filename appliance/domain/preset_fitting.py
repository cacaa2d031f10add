"""Presets fitted to a base, its rows and the device: which fields differ from the preset, and why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from appliance.domain.family import Family
from appliance.domain.fitting import fit
from appliance.domain.memory import BaseShape, Load, Room
from appliance.domain.presets import PRESETS
from appliance.domain.recipe import build_recipe

_ROWS_AT_ONCE = {"cpu": (4, 2, 1), "cuda": (16, 8, 4, 2, 1)}
"""Micro-batches to try, the largest first. Unpacking NF4 costs a GPU the same for every micro-batch: the more tokens in it, the better."""
_MANY_ROWS = ((20_000, 0.34), (5_000, 0.67))
"""(rows, share of the preset's epochs): 10,000 rows make a specialist of a 7 B base in fewer passes."""
_LARGE_BASES = ((20_000_000_000, 0.25), (10_000_000_000, 0.5))
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
    choices: tuple[Choice, ...]


def fit_preset(name: str, shape: BaseShape, family: Family, room: Room, rows: int) -> FittedPreset:
    """The preset ``name`` for this base, this device and so many rows."""
    preset: Mapping[str, Any] = PRESETS[name].get("training", {})
    recipe = build_recipe({"training": preset}).training
    choices = []
    for most, share in _LARGE_BASES:
        if shape.parameters >= most:
            rate = float(f"{recipe.learning_rate * share:.3g}")
            choices.append(_choice("learning_rate", rate, "large_base", parameters=shape.parameters))
            break
    for least, share in _MANY_ROWS:
        if rows >= least and recipe.epochs > 1:
            choices.append(_choice("epochs", max(1.0, float(round(recipe.epochs * share))), "many_rows", rows=rows))
            break
    at_once = _ROWS_AT_ONCE[room.kind]
    for count in at_once:
        tokens = count * recipe.max_length
        load = Load(tokens=tokens, trained=tokens // 2, longest=recipe.max_length)
        tried = msgspec.structs.replace(recipe, micro_batch_size=count)
        if count == at_once[-1] or fit(shape, family, tried, room, load).fits:
            if count != recipe.micro_batch_size:
                choices.append(_choice("micro_batch_size", count, "memory_found", free=room.free, device=room.name, tokens=tokens))
            break
    fitted = {**preset, **{choice.field: choice.value for choice in choices}}
    return FittedPreset(
        layer={**{section: dict(fields) for section, fields in PRESETS[name].items()}, "training": fitted}, choices=tuple(choices)
    )


def _choice(field: str, value: Any, reason: str, **parameters: Any) -> Choice:
    return Choice(field=field, value=value, reason=reason, parameters=parameters)
