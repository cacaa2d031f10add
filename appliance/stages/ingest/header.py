"""Which of a table's first records names its columns.

Exports put titles, dates and merged group headings above the names. A record that whoever asks recognises is the heading; else it is the
first full one of different cells that are not values. Two records together are a heading when the upper one groups columns of the lower.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

Wanted = Callable[[list[str]], bool]
"""Whether these names are a heading that is understood."""

HIGHEST_HEADER = 30
"""Records among which the heading is looked for."""
FULL = 0.6
"""Of the filled cells of the fullest of the first records: a record with fewer is no heading."""

_VALUE = re.compile(r"[-+¥￥$]?\d[\d\s.,:：/年月日时分秒-]*%?")
"""Numbers, dates and times."""


@dataclass(frozen=True)
class Header:
    """A table's heading."""

    first: int
    """Its first record, from 0: as many stand above it."""
    end: int
    """The first record behind it."""
    names: tuple[str, ...]
    """Without white space around them; empty for columns without a name."""


def find_header(records: list[list[str]], wanted: Wanted) -> Header | None:
    """The heading among a table's first records, those that are broken given as empty lists; None when no record is left."""
    named = [[cell.strip() for cell in record] for record in records]
    width = max(map(len, named), default=0)
    if not width:
        return None
    for position, names in enumerate(named):
        if names and wanted(names):
            return Header(position, position + 1, tuple(names))
    enough = max(2, FULL * max(_filled(names) for names in named))
    for position, names in enumerate(named):
        below = named[position + 1] if position + 1 < len(named) else []
        if _filled(names) < enough or _has_values(names):
            continue
        if _differ(names):
            return Header(position, position + 1, tuple(names))
        if len(set(filter(None, names))) > 1 and len(below) == len(names) and not _has_values(below):
            joined = [upper if upper == lower else f"{upper} {lower}".strip() for upper, lower in zip(names, below, strict=True)]
            if _differ(joined):
                return Header(position, position + 2, tuple(joined))
    filled = [(position, _filled(names)) for position, names in enumerate(named) if names]
    first = next((position for position, count in filled if count >= enough), filled[0][0])
    return Header(first, first + 1, tuple(named[first]))


def _filled(names: list[str]) -> int:
    return sum(map(bool, names))


def _has_values(names: list[str]) -> bool:
    return any(_VALUE.fullmatch(name) for name in names)


def _differ(names: list[str]) -> bool:
    filled = [name for name in names if name]
    return len(set(filled)) == len(filled)
