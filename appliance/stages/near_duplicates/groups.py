"""Groups of rows that say nearly the same, from sketches: candidates by bands, each verified, joined by union-find.

A pair whose Jaccard similarity is the threshold 0.8 shares one of 25 bands of 5 numbers with a probability of 99.995 %. Small files are
compared pair by pair. The result does not depend on how many threads compare. In a bucket of very many rows (texts made from one template)
a row is compared with the 32 that are most like it, so that time stays in proportion to the rows.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from appliance.domain.event import Emit, Progress, Started
from appliance.processes.room import usable_cores
from appliance.stages.near_duplicates.arithmetic import PERMUTATIONS, band_keys, compare_buckets, flatten, unite
from appliance.stages.near_duplicates.sketches import Sketches, sketch_file

BAND = 5
"""Numbers of a signature that have to agree for two rows to meet."""
EVERY_PAIR_UP_TO = 8192
"""Rows of a file whose pairs are all compared; half a second at most."""
_WINDOW, _JOINS, _FAILURES = 32, 2, 8
"""Of a bucket: with how many neighbours a row is compared, how many it may be joined to at once (other bands will do the rest), and how
many may turn out to be different."""
_MANY_JOINS = 256
"""Where every pair is compared and no other band comes."""
_BAND_MARGIN, _PAIR_MARGIN = 0.12, 0.2
"""How far a signature's estimate may stay below the threshold for the row to be verified: 3.4 and 5.6 standard deviations at 0.8."""


@dataclass(frozen=True)
class Groups:
    """Which rows of a file belong together; rows are counted from 0."""

    first: NDArray[np.int64]
    """(rows,): the first row of the same group; of a row that is like no other, itself."""
    lengths: NDArray[np.int64]
    """(rows,): compared characters of each row."""

    @cached_property
    def members(self) -> list[NDArray[np.int64]]:
        """The rows of every group of at least two, in the order of their first rows."""
        order = np.argsort(self.first, kind="stable")
        borders = np.flatnonzero(np.diff(self.first[order])) + 1
        return [group for group in np.split(order, borders) if len(group) > 1]

    @property
    def grouped(self) -> int:
        """Rows that are in a group."""
        return sum(map(len, self.members))

    def facts(self) -> dict[str, int]:
        """For the record."""
        return {"groups": len(self.members), "grouped": self.grouped, "largest": max(map(len, self.members), default=0)}

    def kept(self, *, longest: bool = False) -> NDArray[np.int64]:
        """For every row the one that stays of its group: the first, or the (first) longest."""
        stays = self.first.copy()
        if longest:
            for group in self.members:
                stays[group] = group[np.argmax(self.lengths[group])]
        return stays


def find_groups(rows: Path, count: int, threshold: float, scratch: Path, emit: Emit, threads: int | None = None) -> Groups:
    """Groups among the ``count`` rows of a ``rows.jsonl``; ``scratch`` is a file that is made and removed.

    Emits Started and Progress: bytes while rows are read, then bands. Raises ``rows_damaged``.
    """
    emit(Started(rows.stat().st_size, "bytes", "near_duplicates"))
    try:
        sketches = sketch_file(rows, count, scratch, emit)
        return Groups(_first_of_group(sketches, threshold, emit, threads or usable_cores()), sketches.lengths)
    finally:
        scratch.unlink(missing_ok=True)


def _first_of_group(sketches: Sketches, threshold: float, emit: Emit, threads: int) -> NDArray[np.int64]:
    count = len(sketches.lengths)
    first = np.arange(count)
    # Rows without a single 5-gram are like nothing.
    some = np.flatnonzero(np.diff(sketches.ends))
    keys = np.zeros(count, np.uint64)
    if count <= EVERY_PAIR_UP_TO:
        limits = int((threshold - _PAIR_MARGIN) * PERMUTATIONS), count, _MANY_JOINS, count
        _compare(some, keys, limits, threshold, sketches, first, threads)
        return first
    limits = int((threshold - _BAND_MARGIN) * PERMUTATIONS), _WINDOW, _JOINS, _FAILURES
    bands = range(0, PERMUTATIONS, BAND)
    emit(Started(len(bands), "bands", "near_duplicates_compare"))
    for done, band in enumerate(bands, 1):
        band_keys(sketches.signatures, band, BAND, keys)
        order = some[np.argsort(keys[some], kind="stable")]
        _compare(order, keys, limits, threshold, sketches, first, threads)
        emit(Progress(done))
    return first


def _compare(order: NDArray[np.int64], keys: Any, limits: Any, threshold: float, sketches: Sketches, first: Any, threads: int) -> None:
    """Compare within the buckets of one order and join what is alike; ``first`` is changed."""
    buckets = np.concatenate([[0], np.flatnonzero(np.diff(keys[order] >> np.uint64(32))) + 1])
    wanted = np.arange(1, threads) * len(order) // threads
    borders = sorted({0, len(order), *(int(buckets[np.searchsorted(buckets, place, "right") - 1]) for place in wanted)})
    labels = first.copy()  # a thread sees what was joined before, and in its own buckets only what it joins itself

    def compared(span: tuple[int, int]) -> NDArray[np.int64]:
        edges = np.empty((limits[2] * (span[1] - span[0]), 2), np.int64)
        found = compare_buckets(order, keys, span, limits, threshold, sketches.signatures, sketches.values, sketches.ends, labels, edges)
        return edges[:found]

    with ThreadPoolExecutor(threads, thread_name_prefix="compare") as pool:
        for edges in list(pool.map(compared, pairwise(borders))):
            unite(first, edges)
    flatten(first)
