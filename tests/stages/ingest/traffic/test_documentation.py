"""The page about traffic sources shows what the importers do."""

from __future__ import annotations

import re
from collections.abc import Callable

from appliance.stages.ingest.traffic import accidents, alarms122, signal_plans
from tests.architecture.source import HOUSE
from tests.stages.ingest.conftest import Imported

PAGE = (HOUSE / "docs/traffic-sources.md").read_text("utf-8")
BLOCK = re.compile(r"^```(csv|xml|text)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_examples_are_real(import_bytes: Callable[..., Imported]) -> None:
    """Every example of a row comes out of the file that stands above it."""
    made: list[tuple[str, str]] = []
    shown = 0
    for place, (kind, text) in enumerate(BLOCK.findall(PAGE)):
        if kind == "text":
            question, answer = text.removeprefix("问：").removesuffix("\n").split("\n\n答：")
            assert (question, answer) in made
            shown += 1
        else:
            made = [(turns[0][1], turns[1][1]) for turns in import_bytes(text.encode(), f"{place}.{kind}").turns]
    assert shown >= 15


def test_headings_are_complete() -> None:
    """The tables of headings are those of the code."""
    for fields in (alarms122.FIELDS, accidents.FIELDS, signal_plans.FIELDS):
        for field, names in fields.items():
            assert f"| `{field}` | {' '.join(names)} |" in PAGE
