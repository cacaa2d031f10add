"""Presets: recipes for people who do not want to choose; each value differs from the default for a reason given beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Preset:
    """A layer of a recipe that is right for every method: what depends on the method is told relative to it."""

    layer: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """``{section: {field: value}}``."""
    rate_share: float = 1.0
    """Times the usual learning rate of method and objective, where no recipe names a rate."""


PRESETS: Mapping[str, Preset] = {
    # A first look within minutes: half the rank, one pass.
    "quick": Preset(layer={"training": {"rank": 8, "alpha": 16, "epochs": 1.0}}),
    # The defaults of the recipe.
    "standard": Preset(),
    # A model to keep: a wider adapter and more passes, hence a smaller learning rate; validated twice an epoch or more.
    "thorough": Preset(layer={"training": {"rank": 32, "alpha": 64, "epochs": 5.0, "save_steps": 25}}, rate_share=0.5),
}
