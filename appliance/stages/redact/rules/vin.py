"""Vehicle identification numbers (GB 16735-2019, ISO 3779): 17 letters and digits, the ninth a check digit; no I, O, Q."""

from __future__ import annotations

import re
from collections.abc import Iterator

from appliance.domain.recipe import RedactionRecipe
from appliance.stages.redact.drawing import Draw
from appliance.stages.redact.finding import Find, Text
from appliance.stages.redact.rules.rule import Rule
from appliance.stages.redact.spelling import HIDDEN

_BREAK = rf"[ \-{HIDDEN}]"
_CAPITALS = re.compile(rf"[A-Z0-9](?=[A-Z0-9 \-{HIDDEN}]{{16}})(?:{_BREAK}{{0,2}}[A-Z0-9]){{16}}(?![A-Za-z0-9])")
"""Looks ahead first: one class of characters is passed over much faster than a group, and hardly any text has so many of it."""
_ANY_CASE = re.compile(rf"[^\w\n]{{0,4}}(?:为|是|号码?|码)?[^\w\n]{{0,4}}([A-Za-z0-9](?:{_BREAK}{{0,2}}[A-Za-z0-9]){{16}})(?![A-Za-z0-9])")
_WORDS = (
    "VIN", "vin", "Vin", "车架", "车架号", "识别代号", "识别代码", "识别码", "车辆识别", "大架号", "底盘号", "车辆识别代号",
    "车辆识别代码",
)  # fmt: skip
_WEIGHTS = (8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2)
_VALUES = dict(zip("ABCDEFGHJKLMNPRSTUVWXYZ0123456789", [*range(1, 9), *range(1, 6), 7, 9, *range(2, 10), *range(10)], strict=True))
_READ = str.maketrans("IOQioq", "100100", f" -{HIDDEN}")
_CHARACTERS = "ABCDEFGHJKLMNPRSTUVWXYZ0123456789"
_NONE_EXISTS = "000"
"""What no manufacturer's code begins with (ISO 3780)."""


def check_digit(number: str) -> str:
    """What the ninth character has to be (GB 16735, annex C)."""
    return "0123456789X"[sum(_VALUES[char] * weight for char, weight in zip(number, _WEIGHTS, strict=True)) % 11]


def find(text: Text, _recipe: RedactionRecipe) -> Iterator[Find]:
    """Sure when the check digit fits or a word says so; a Chinese maker's number without either is looked at by a person."""
    told = set()
    for _, end in text.places("vin"):
        match = _ANY_CASE.match(text.folded, end)
        if match and (number := _read(match[1])):
            told.add(match.start(1))
            yield Find("vin", match.start(1), match.end(1), number)
    for match in _CAPITALS.finditer(text.folded):
        before = text.folded[match.start() - 1 : match.start()]
        if match.start() in told or (before.isascii() and before.isalnum()):
            continue
        number = _read(match[0])
        if number is None or not number[-4:].isdigit():
            continue
        if check_digit(number) == number[8]:
            yield Find("vin", match.start(), match.end(), number)
        elif number[0] == "L" and len(match[0]) == 17 and sum(map(str.isdigit, number)) < 15:
            yield Find("vin", match.start(), match.end(), number, sure=False)


def _read(written: str) -> str | None:
    """The 17 characters; None for a pseudonym and for what has too few digits or no letter."""
    number = written.translate(_READ).upper()
    if number.isdigit():
        return None
    return number if not number.startswith(_NONE_EXISTS) and 4 <= sum(map(str.isdigit, number)) < 17 else None


def replace(_value: str, draw: Draw, _recipe: RedactionRecipe) -> str:
    """A number of no manufacturer, with a check digit that fits."""
    drawn = _NONE_EXISTS + draw.letters(5, _CHARACTERS) + "0" + draw.letters(4, _CHARACTERS) + draw.digits(4)
    return drawn[:8] + check_digit(drawn) + drawn[9:]


RULE = Rule("vin", find, replace, {"vin": _WORDS}, shown=(3, 0))
