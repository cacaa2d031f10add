"""Nothing invisible: control characters, terminal escape sequences, zero-width characters and marks of direction go.

The joiner inside an emoji stays, and so do spaces and line ends of every kind, which are the business of ``normalise``.
"""

from __future__ import annotations

import re

from appliance.domain.row import Row
from appliance.domain.spec import CleanSpec
from appliance.stages.clean.rules.rule import Apply, Dropped, with_texts

_INVISIBLE = [
    *(chr(code) for code in (*range(0x20), 0x7F, *range(0x80, 0xA0)) if chr(code) not in "\n\t\r\x0b\x0c\x85"),
    *"\u00ad\u200b\u200c\u200e\u200f\u2060\u2061\u2062\u2063\u2064\ufeff\ufffe\uffff",
    *map(chr, (*range(0x202A, 0x202F), *range(0x2066, 0x2070), *range(0xFFF9, 0xFFFC), *range(0xE0000, 0xE0080))),
]
_TABLE = str.maketrans(dict.fromkeys(_INVISIBLE))
_ESCAPE_SEQUENCE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\))")
_STRAY_JOINER = re.compile("(?<![\U0001f000-\U0001faff\u2600-\u27bf\ufe0f])\u200d")


def visible(text: str) -> str:
    """The text without what nobody can see; applied twice it gives the same again."""
    if text.isprintable() or text.replace("\n", "").isprintable():
        return text
    return _STRAY_JOINER.sub("", _ESCAPE_SEQUENCE.sub("", text).translate(_TABLE))


def make(spec: CleanSpec) -> Apply | None:
    """Make every turn visible; a row with a turn of which nothing is left is dropped."""
    return _apply if spec.recipe.invisible else None


def _apply(row: Row) -> Row | Dropped:
    return with_texts(row, visible, "row_nothing_visible")
