"""How much disk a training takes: checkpoints, the best weights beside them, and the result. Plan and run ask the same."""

from __future__ import annotations

from appliance.domain.memory import STORED_ITEM, BaseShape, Room, optimizer_bytes
from appliance.domain.methods import METHODS
from appliance.domain.recipe import TrainingRecipe

HISTORY_BYTES = 4 << 20
"""About what a checkpoint holds besides weights and averages, and a result besides weights: history, tokenizer, configuration."""
_WEIGHT = 4
"""Bytes of a trained number in a checkpoint, whatever the arithmetic."""


def checkpoint_bytes(trained: int, recipe: TrainingRecipe, room: Room, *, validated: bool) -> int:
    """The most that all checkpoints of ``trained`` numbers take at once.

    A new one is whole before the oldest goes. Where a validation tells which weights are best, each checkpoint has those as of its step
    beside it, and the newest are written before the next checkpoint is.
    """
    weights = _WEIGHT * trained
    whole = (recipe.keep_checkpoints + 1) * (weights + optimizer_bytes(trained, room) + HISTORY_BYTES)
    best = (recipe.keep_checkpoints + 2) * weights if validated and recipe.keep_best == "best" else 0
    return whole + best


def result_bytes(trained: int, shape: BaseShape, recipe: TrainingRecipe) -> int:
    """An adapter in float32, or a whole model as its base is stored."""
    return (STORED_ITEM * shape.parameters if METHODS[recipe.method].whole_model else _WEIGHT * trained) + HISTORY_BYTES
