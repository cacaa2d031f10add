"""The cleaning rules: one file and one line each, applied in this order."""

from __future__ import annotations

from appliance.stages.clean.rules import (
    boilerplate,
    contradictions,
    exact_duplicates,
    garbage,
    invisible,
    language,
    length,
    markup,
    near_duplicates,
    normalise,
    repetition,
    tokens,
)
from appliance.stages.clean.rules.rule import Make, MakeJudge, MakeMeeting

ROW_RULES: tuple[tuple[str, Make], ...] = (
    ("markup", markup.make),
    ("invisible", invisible.make),
    ("normalise", normalise.make),
    ("boilerplate", boilerplate.make),
    ("length", length.make),
    ("garbage", garbage.make),
    ("language", language.make),
    ("repetition", repetition.make),
    ("tokens", tokens.make),
)
"""Name in the report → maker, for rules about one row. What changes texts comes first, so that rows that differ in that alone are equal."""

MEETING_RULES: tuple[tuple[str, MakeMeeting], ...] = (("exact_duplicates", exact_duplicates.make),)
"""Rules about a row and those before it."""

JUDGES: tuple[tuple[str, MakeJudge], ...] = (
    ("near_duplicates", near_duplicates.make),
    ("contradictions", contradictions.make),
)
"""Rules about all rows together."""

RULE_NAMES: tuple[str, ...] = tuple(name for name, _ in (*ROW_RULES, *MEETING_RULES, *JUDGES))
