"""Texts that say the same over and over, as models that have lost their way and forms that were filled in by a stuck key do.

The measure is the share of a text's runs of ten characters that have occurred in it before. It is taken only where some of a few sampled
runs have.
"""

from __future__ import annotations

from appliance.domain.row import Row, texts_of
from appliance.domain.spec import CleanSpec
from appliance.stages.clean.rules.rule import Apply, Dropped

RUN = 10
_SHORT = 60
"""Characters; below, a repetition can be meant."""
_LOOKS = 8
"""Runs that are looked at first."""
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
            if _is_suspect(text, most) and (share := repeated_share(text)) > most:
                return Dropped("row_repetition", {"share": round(share, 3), "limit": most})
        return row

    return apply


def _is_suspect(text: str, most: float) -> bool:
    """Whether so many of a few runs have occurred before that the text may be over the limit: half of what it would then have."""
    runs = len(text) - RUN + 1
    places = (runs * look // (_LOOKS + 1) for look in range(1, _LOOKS + 1))
    return sum(text.find(text[place : place + RUN], 0, place + RUN) < place for place in places) >= 0.5 * most * _LOOKS
