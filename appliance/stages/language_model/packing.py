"""Putting rows into packs: best fit, the longest row first (Johnson et al. 1974), which wastes next to nothing on rows of texts."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray


def best_fit(lengths: NDArray[np.int64], rows: Iterable[int], capacity: int) -> list[list[int]]:
    """The rows in packs of at most ``capacity`` tokens; every row goes where it leaves the least room, a longer one into a pack of its own.

    ``lengths`` are those of all rows there are: (rows,). The first pack begins with the longest row.
    """
    packs: list[list[int]] = []
    rooms: list[tuple[int, int]] = []  # what is left in each pack and which pack it is, ascending
    for row in sorted(rows, key=lambda row: (-int(lengths[row]), row)):
        length = int(lengths[row])
        place = bisect_left(rooms, (length, -1))
        if place < len(rooms):
            room, pack = rooms.pop(place)
        else:
            room, pack = max(capacity, length), len(packs)
            packs.append([])
        packs[pack].append(row)
        insort(rooms, (room - length, pack))
    return packs
