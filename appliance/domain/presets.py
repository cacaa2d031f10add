"""Presets: recipes for people who do not want to choose; each value differs from the default for a reason given beside it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

PRESETS: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    # A first look within minutes: half the rank, one pass.
    "quick": {"training": {"rank": 8, "alpha": 16, "epochs": 1.0}},
    # The defaults of the recipe.
    "standard": {},
    # A model to keep: a wider adapter and more passes, hence a smaller learning rate; validated twice an epoch or more.
    "thorough": {"training": {"rank": 32, "alpha": 64, "epochs": 5.0, "learning_rate": 1e-4, "save_steps": 25}},
}
