"""Texts that say the same over and over, as models that have lost their way and forms that were filled in by a stuck key do.

The measure is the share of a text's runs of ten characters that have occurred in it before. Two quicker looks come first: enough different
characters, or bytes that do not compress, prove that a text is fine.
"""

from __future__ import annotations

import zlib

from appliance.domain.row import Row, texts_of
from appliance.domain.spec import CleanSpec
from appliance.stages.clean.rules.rule import Apply, Dropped

RUN = 10
_SHORT = 60
"""Characters; below, a repetition can be meant."""
_VARIED = 0.2
"""Different characters per character from which a text cannot repeat itself for more than half."""
_DENSE = 0.35
"""Compressed bytes per byte from which it cannot either."""
_SAMPLE = 20_000
"""Characters of a document that are measured."""


def repeated_share(text: str) -> float:
    """Share of runs of ten characters that have occurred before, 0 to 1."""
    runs = len(text) - RUN + 1
    return 1.0 - len({text[place : place + RUN] for place in range(runs)}) / runs if runs > 0 else 0.0


def make(spec: CleanSpec) -> Apply | None:
    """Drop a row with a text that repeats itself for more than ``max_repeated_share``."""
    most = spec.recipe.max_repeated_share
    if most >= 1.0:
        return None

    def apply(row: Row) -> Row | Dropped:
        for whole in texts_of(row):
            if len(whole) < _SHORT:
                continue
            text = whole[:_SAMPLE]
            if most >= 0.5 and _surely_varied(text):
                continue
            share = repeated_share(text)
            if share > most:
                return Dropped("row_repetition", {"share": round(share, 3), "limit": most})
        return row

    return apply


def _surely_varied(text: str) -> bool:
    if len(set(text)) >= _VARIED * len(text):
        return True
    data = text.encode("utf-8", "surrogatepass")
    return len(zlib.compress(data, 1)) >= _DENSE * len(data)
