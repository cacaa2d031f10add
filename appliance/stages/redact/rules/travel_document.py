"""Passports, permits for Hong Kong, Macao and Taiwan, officers' cards: letters and seven to ten digits, where a word says so."""

from __future__ import annotations

import re
from collections.abc import Iterator

from appliance.domain.recipe import RedactionRecipe
from appliance.stages.redact.drawing import Draw
from appliance.stages.redact.finding import Find, Text
from appliance.stages.redact.rules.rule import Rule
from appliance.stages.redact.spelling import HIDDEN

_BREAK = rf"[ \-{HIDDEN}]"
_DOCUMENTS = (
    "护照", "通行证", "回乡证", "台胞证", "港澳证", "居住证", "居留证", "军官证", "士官证", "警官证", "Passport", "passport",
    "PASSPORT",
)  # fmt: skip
_BEHIND = re.compile(
    r"[ ]?(?:号码|编号|号|[Nn]o\.?|[Nn]umber)?[^\w\n，。；]{0,4}(?:为|是)?[^\w\n，。；]{0,2}"
    rf"([A-Za-z军武海空南北沈兰成济广参政后装]{{0,2}}(?:字?第)?{_BREAK}{{0,2}}\d(?:{_BREAK}?[\dOolI]){{6,9}})(?:号)?(?![A-Za-z0-9])"
)


def find(text: Text, _recipe: RedactionRecipe) -> Iterator[Find]:
    """The number behind the document's name."""
    for _, end in text.places("travel_document"):
        match = _BEHIND.match(text.folded, end)
        value = "".join(char for char in match[1] if char.isalnum()).upper() if match else "XX"
        if match and not value.startswith("XX"):
            yield Find("travel_document", match.start(1), match.end(1), value)


def replace(_value: str, draw: Draw, _recipe: RedactionRecipe) -> str:
    """Two letters that no document begins with, and seven digits."""
    return "XX" + draw.digits(7)


_ANCHORS = {"travel_document": _DOCUMENTS}
RULE = Rule("travel_document", find, replace, _ANCHORS, frozenset(_ANCHORS), shown=(1, 1))
