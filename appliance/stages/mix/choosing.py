"""Which rows are used, how often and in what order: numbers from a seed, the same on every machine and with every library."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from appliance.domain.recipe import MixRecipe

Array = NDArray[np.int64]


def wanted_rows(there: Sequence[int], shares: Sequence[float], recipe: MixRecipe) -> list[int]:
    """How many rows of each dataset: all of the first, unless the recipe names a total, and of the others by their shares.

    At least one row of each; where a total is named, the first makes up for rounding.
    """
    total = recipe.rows or there[0] / shares[0]
    others = [max(1, round(total * share)) for share in shares[1:]]
    return [max(1, recipe.rows - sum(others)) if recipe.rows else there[0], *others]


def balanced(classes: Array, recipe: MixRecipe) -> Array:
    """Every row once, and those of rare classes again, the first ones first, up to ``balance`` of the largest class.

    No row occurs more than ``max_repeats`` times. The result is in the order of rows.
    """
    sizes = np.bincount(classes)
    goal = np.maximum(sizes, np.minimum(np.round(recipe.balance * sizes.max()), recipe.max_repeats * sizes)).astype(np.int64)
    order = np.argsort(classes, kind="stable")
    begins = np.concatenate([[0], np.cumsum(sizes)])
    picks = [np.resize(order[begins[one] : begins[one + 1]], goal[one]) for one in range(len(sizes)) if sizes[one]]
    return np.sort(np.concatenate(picks)).astype(np.int64)


def chosen(once: Array, count: int, seed: int, part: int) -> Array:
    """``count`` of these rows: all of them as often as they go in, and then a sample."""
    times, rest = divmod(count, len(once))
    sample = once[np.sort(np.argsort(_numbers(len(once), seed, part + 1), kind="stable")[:rest])]
    return np.concatenate([np.tile(once, times), sample]).astype(np.int64)


def shuffled(count: int, seed: int) -> Array:
    """The numbers below ``count`` in an order of chance."""
    return np.argsort(_numbers(count, seed, 0), kind="stable").astype(np.int64)


def _numbers(count: int, seed: int, stream: int) -> NDArray[Any]:
    """SplitMix64 (Steele, Lea, Flood 2014) of the places in a stream of the seed."""
    with np.errstate(over="ignore"):
        start = np.uint64((seed << 20 | stream) & (2**64 - 1)) * np.uint64(0xD1342543DE82EF95)
        value = start + np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        numbers: NDArray[Any] = value ^ (value >> np.uint64(31))
        return numbers
