"""Which column of a table is which of a record's fields, by the names that exports use.

Names are compared without brackets and what stands in them, without white space and signs, full width as half width, in one case:
``报警时间（年月日）``, ``报警 时间`` and ``报警时间`` are the same.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence

Fields = Mapping[str, tuple[str, ...]]
"""Field → names that mean it, the likeliest first."""

_BRACKETS = re.compile(r"[(\[{【〔][^)\]}】〕]*[)\]}】〕]")
_SIGNS = re.compile(r"[\W_]+")


def bare(heading: str) -> str:
    """What of a heading is compared."""
    return _SIGNS.sub("", _BRACKETS.sub("", unicodedata.normalize("NFKC", heading))).casefold()


def places_of(columns: Sequence[str], fields: Fields) -> dict[str, int]:
    """``{field: place of its column}`` for the fields that are there; no column is two fields, the first of equal names is taken."""
    names = [bare(column) for column in columns]
    found: dict[str, int] = {}
    for field, known in fields.items():
        place = next((names.index(bare(name)) for name in known if bare(name) in names), None)
        if place is not None and place not in found.values():
            found[field] = place
    return found
