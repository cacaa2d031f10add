"""Which column of a table is which of a record's fields, by the names that exports use.

Names are compared without brackets and what stands in them, without white space and signs, full width as half width, in one case:
``报警时间（年月日）``, ``报警 时间`` and ``报警时间`` are the same.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from functools import lru_cache

Fields = Mapping[str, tuple[str, ...]]
"""Field → names that mean it, the likeliest first."""

Asked = Mapping[str, str]
"""Field → the column that somebody said it is."""

LONGEST = 60
"""Characters: what is longer is no heading."""
MOST = 300
"""Columns that tables of the police have at most; a wider one is something else."""

_BRACKETS = re.compile(r"[(\[{【〔][^(\[{【〔)\]}】〕]*[)\]}】〕]")
_SIGNS = re.compile(r"[\W_]+")


@lru_cache(maxsize=4096)
def bare(heading: str) -> str:
    """What of a heading is compared; an empty text for what is too long to be one."""
    if len(heading) > LONGEST:
        return ""
    return _SIGNS.sub("", _BRACKETS.sub("", unicodedata.normalize("NFKC", heading))).casefold()


def places_of(columns: Sequence[str], fields: Fields, asked: Asked) -> dict[str, int]:
    """``{field: place of its column}`` for the fields that are there; no column is two fields, the first of equal names is taken.

    What is asked for wins over what the names say.
    """
    if len(columns) > MOST:
        return {}
    names = [bare(column) for column in columns]
    found = {field: columns.index(column) for field, column in asked.items() if field in fields and column in columns}
    for field, known in fields.items():
        if field in found:
            continue
        place = next((names.index(bare(name)) for name in known if bare(name) in names), None)
        if place is not None and place not in found.values():
            found[field] = place
    return found
