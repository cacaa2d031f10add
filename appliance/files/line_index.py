"""Any line of a long file at once: where every so many lines begin is remembered as far as anybody has asked."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from pathlib import Path

from appliance.files.lines import BLOCK

_EVERY = 256
"""Lines between two remembered places: a file of a million rows takes 32 kB."""


class LineIndex:
    """Of one file that does not change. Raises OSError when it cannot be read."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._places = array("q", [0])
        """Where lines 0, 256, 512 … begin."""

    def lines(self, first: int, count: int | None = None) -> Iterator[tuple[int, bytes]]:
        """``(place in bytes, line with its newline)`` from line ``first`` on, counted from 0; fewer than ``count`` when the file ends."""
        with self._path.open("rb", buffering=BLOCK) as file:
            known = min(first // _EVERY, len(self._places) - 1)
            number, place = known * _EVERY, self._places[known]
            file.seek(place)
            for line in file:
                if number == len(self._places) * _EVERY:
                    self._places.append(place)
                if count is not None and number >= first + count:
                    return
                if number >= first:
                    yield place, line
                number += 1
                place += len(line)
