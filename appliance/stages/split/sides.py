"""Which side every row is on: by score, whole groups at a time, each class by itself, with the exact share where rows are few."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from appliance.domain.errors import ApplianceError
from appliance.domain.recipe import SplitRecipe

SIDES = ("train", "validation", "test")
EXACT_BELOW = 500
"""Rows of a class below which shares are counted out. With more rows a score decides by itself, so that rows which come later move none."""
_TRAIN, _VALIDATION, _TEST = range(len(SIDES))
_SCORES = float(1 << 64)

Array = NDArray[Any]


@dataclass(frozen=True)
class Rows:
    """What decides about the rows of a dataset."""

    hashes: NDArray[np.uint64]
    """(rows,): the beginning of each content hash."""
    scores: NDArray[np.uint64]
    """(rows,): where each row stands between 0 and 2^64, by its content and the seed alone."""
    classes: NDArray[np.int32]
    """(rows,): the number of each row's class."""
    names: tuple[str, ...]
    """Of the classes; empty when they do not matter."""

    def __len__(self) -> int:
        return len(self.hashes)

    def counted(self, sides: NDArray[np.uint8], side: str) -> dict[str, int]:
        """Rows of each class on a side."""
        counts = np.bincount(self.classes[sides == SIDES.index(side)], minlength=len(self.names))
        return {name: int(count) for name, count in zip(self.names, counts, strict=False)}


@dataclass(frozen=True)
class _Units:
    """Rows that stay together, as arrays (units,); a unit has score and class of its row with the smallest content hash."""

    of_row: Array
    scores: Array
    sizes: Array
    classes: Array
    sides: Array

    def rows_on(self, side: int) -> int:
        return int(self.sizes[self.sides == side].sum())


def score(content_hash: bytes, seed: int) -> int:
    """Where a row stands."""
    return int.from_bytes(hashlib.blake2b(content_hash, digest_size=8, key=b"%d" % seed).digest())


def divided(rows: Rows, first: NDArray[np.int64] | None, recipe: SplitRecipe) -> NDArray[np.uint8]:
    """The side (number in ``SIDES``) of every row; ``first`` leads from each row to one that it has to stay with.

    Raises ``too_few_rows`` when a wanted side cannot have any.
    """
    wanted = [side for side, share in ((_VALIDATION, recipe.validation_share), (_TEST, recipe.test_share)) if share]
    if not wanted:
        return np.zeros(len(rows), np.uint8)
    units = _units(rows, first)
    if len(units.sizes) <= len(wanted):
        raise ApplianceError("too_few_rows", rows=len(rows), kinds=len(units.sizes))
    for chosen in np.unique(units.classes):
        _divide(units, np.flatnonzero(units.classes == chosen), recipe)
    for side in wanted:
        if not units.rows_on(side):
            _move(units, _smallest(units, _TRAIN), side)
    if not units.rows_on(_TRAIN):
        largest = max(wanted, key=lambda side: int((units.sides == side).sum()))
        _move(units, _smallest(units, largest), _TRAIN)
    sides: NDArray[np.uint8] = units.sides[units.of_row]
    return sides


def _units(rows: Rows, first: NDArray[np.int64] | None) -> _Units:
    # Equal rows have equal scores; they stay together whether or not they were compared.
    _, places, same = np.unique(rows.scores, return_index=True, return_inverse=True)
    group = places[same] if first is None else first[places[same]]
    order = np.lexsort((rows.hashes, group))
    leaders = order[np.concatenate([[True], np.diff(group[order]) > 0])]
    _, of_row, sizes = np.unique(group, return_inverse=True, return_counts=True)
    return _Units(of_row, rows.scores[leaders], sizes, rows.classes[leaders], np.zeros(len(sizes), np.uint8))


def _divide(units: _Units, some: Array, recipe: SplitRecipe) -> None:
    """Give each held-out side its share of one class, validation first; a unit that is larger than the share stays training."""
    count = int(units.sizes[some].sum())
    begin = 0.0
    for side, share in ((_VALIDATION, recipe.validation_share), (_TEST, recipe.test_share)):
        if count < EXACT_BELOW:
            room = round(share * count)
            for unit in some[np.argsort(units.scores[some], kind="stable")]:
                if units.sides[unit] == _TRAIN and units.sizes[unit] <= room:
                    units.sides[unit] = side
                    room -= units.sizes[unit]
        else:
            places = units.scores[some] / _SCORES
            units.sides[some[(begin <= places) & (places < begin + share) & (units.sizes[some] <= share * count)]] = side
        begin += share


def _smallest(units: _Units, side: int) -> int:
    """Of the units on a side the smallest, of equal ones that with the lowest score."""
    there = np.flatnonzero(units.sides == side)
    return int(there[np.lexsort((units.scores[there], units.sizes[there]))[0]])


def _move(units: _Units, unit: int, side: int) -> None:
    units.sides[unit] = side
