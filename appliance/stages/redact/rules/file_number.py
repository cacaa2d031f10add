"""File numbers of driving licences (档案编号): twelve digits that begin with a province's, where a word says what they are."""

from __future__ import annotations

import re
from collections.abc import Iterator

from appliance.domain.recipe import RedactionRecipe
from appliance.stages.redact.drawing import Draw
from appliance.stages.redact.finding import Find, Text, numbers_of
from appliance.stages.redact.rules.id_number import REGIONS
from appliance.stages.redact.rules.rule import Rule

_TOLD = re.compile(r"档案编?号|驾驶证档案|驾照档案|档号")


def find(text: Text, _recipe: RedactionRecipe) -> Iterator[Find]:
    """Twelve digits behind the word."""
    for number in text.numbers:
        digits = number.digits
        if len(digits) == 12 and digits.isdigit() and digits[:2] in REGIONS and _TOLD.search(text.before(number.start)):
            yield Find("file_number", number.start, number.end, number.digits)


def replace(_value: str, draw: Draw, _recipe: RedactionRecipe) -> str:
    """Twelve digits of a province that does not exist."""
    return "00" + draw.digits(10)


RULE = Rule("file_number", find, replace, starts=numbers_of(12), shown=(2, 0))
