"""Making a training fit: how many blocks recompute their activations, and which recipe is nearest to one that is too large."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from appliance.domain.family import Family
from appliance.domain.memory import BaseShape, Load, Memory, Room, memory_of, recomputed_blocks
from appliance.domain.methods import METHODS
from appliance.domain.recipe import TrainingRecipe

USABLE = 0.92
"""Share of the free memory that a plan may take; the rest is for what nobody foresees."""

EVERY = (0, 8, 4, 2, 1)
"""What ``auto`` tries: no block recomputes, every eighth does, every fourth, every second, all. The first that fits is the fastest."""

SHORTEST_OFFER = 128
"""Tokens; a length below it is no help to anybody."""


@dataclass(frozen=True)
class Fit:
    """A recipe on a base in a place."""

    memory: Memory
    every: int
    """Every how many blocks one recomputes its activations; 0 for none."""
    fits: bool


def fit(shape: BaseShape, family: Family, recipe: TrainingRecipe, room: Room, load: Load) -> Fit:
    """The fastest way of checkpointing that the recipe allows and that fits; the smallest of them when none does."""
    tried = [_fit_with(shape, family, recipe, room, load, every) for every in _allowed(recipe)]
    return next((found for found in tried if found.fits), min(tried, key=lambda found: found.memory.total))


def nearest(shape: BaseShape, family: Family, recipe: TrainingRecipe, room: Room, load: Load) -> dict[str, Any] | None:
    """What to change in a recipe that does not fit, as few and as mild changes as will do; None when nothing helps.

    Milder comes first: recompute activations, fewer rows at once, a quantized base with the same kind of adapter, shorter rows.
    """
    if fit(shape, family, recipe, room, load).fits:
        return {}
    for changes in _offers(recipe, load):
        changed = msgspec.structs.replace(recipe, **changes)
        if fit(shape, family, changed, room, smaller_load(load, changed)).fits:
            return {f"training.{name}": value for name, value in changes.items()}
    return None


def smaller_load(load: Load, recipe: TrainingRecipe) -> Load:
    """The largest micro-batch once a recipe allows no more than its own length and rows at once."""
    longest = min(load.longest, recipe.max_length)
    halves = 2 if recipe.objective == "preferences" else 1  # a pair has a question and an answer twice
    tokens = min(load.tokens, max(recipe.micro_batch_size * recipe.max_length, halves * longest))
    return Load(tokens=tokens, trained=min(load.trained, tokens), longest=longest)


def _allowed(recipe: TrainingRecipe) -> tuple[int, ...]:
    if not METHODS[recipe.method].can_recompute:
        return (0,)
    return {"auto": EVERY, "none": (0,), "every_n": (recipe.checkpoint_every,), "all": (1,)}[recipe.checkpointing]


def _fit_with(shape: BaseShape, family: Family, recipe: TrainingRecipe, room: Room, load: Load, every: int) -> Fit:
    memory = memory_of(shape, family, recipe, room, load, recomputed_blocks(shape.blocks, every))
    return Fit(memory, every, memory.total <= USABLE * room.free)


def _offers(recipe: TrainingRecipe, load: Load) -> Iterator[dict[str, Any]]:
    recompute: dict[str, Any] = {} if recipe.checkpointing == "auto" else {"checkpointing": "auto"}
    smaller = [{"micro_batch_size": rows} for rows in _halves(recipe.micro_batch_size, 1)]
    methods: list[dict[str, Any]] = [{}] if METHODS[recipe.method].quantizes_base else [{}, {"method": "qlora"}]
    shorter = [{"max_length": length} for length in _halves(min(recipe.max_length, load.longest), SHORTEST_OFFER)]
    for method in methods:
        if recompute or method:
            yield recompute | method
        yield from (recompute | method | rows for rows in smaller)
    least = recompute | methods[-1] | (smaller[-1] if smaller else {})
    yield from (least | length for length in shorter)


def _halves(value: int, least: int) -> Iterator[int]:
    """Powers of two below ``value`` down to ``least``."""
    power = 1 << (value - 1).bit_length() >> 1 if value > 1 else 0
    while power >= least:
        yield power
        power >>= 1
