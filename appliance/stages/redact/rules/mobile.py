"""Numbers of mobile phones: eleven digits that begin with 13 to 19, with or without +86.

Eleven such digits in any usual grouping are one, unless a word says that they count something else or more letters hang on to them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from appliance.domain.recipe import RedactionRecipe
from appliance.stages.redact.drawing import Draw
from appliance.stages.redact.finding import Find, Text, numbers_of
from appliance.stages.redact.numbers import Number
from appliance.stages.redact.rules.rule import Rule
from appliance.stages.redact.rules.surroundings import AMOUNT, OTHER_NUMBER

_PREFIXES = {11: "", 12: "0", 13: "86", 15: "0086"}
PHONE = re.compile(r"电话|手机|联系|号码|致电|拨打|来电|拨通|去电|短信|微信|机主|tel|phone|mobile|call", re.IGNORECASE)
"""Words beside a number that people are called at."""
_COUNTRY_CODE = re.compile(r"(?:\+\s?|00)86[\s)）-]{0,2}$|[(（]\+?86[)）][\s-]?$")


def find(text: Text, _recipe: RedactionRecipe) -> Iterator[Find]:
    """Eleven digits after an optional country code."""
    for number in text.numbers:
        prefix = _PREFIXES.get(len(number.digits))
        if prefix is None or not number.digits.startswith(prefix):
            continue
        digits = number.digits.removeprefix(prefix)
        if digits[0] == "1" and digits[1] in "3456789" and digits.isdigit():
            sure = _is_sure(text, number)
            if sure is not None:
                code = _COUNTRY_CODE.search(text.before(number.start, 8))
                start = number.start - len(code[0]) if code else number.start
                yield Find("mobile", start, number.end, digits, sure)


def _is_sure(text: Text, number: Number) -> bool | None:
    """None if it is none."""
    before = text.before(number.start)
    told = PHONE.search(before) is not None or PHONE.search(text.after(number.end, 8)) is not None
    if number.tied and not told:
        letters = _hangs_on_letters(text, number)
        return False if letters and len(number.groups) == 1 else None
    if AMOUNT.match(text.after(number.end)):
        return None
    usual = _is_usual(number)
    if told:
        return usual or (len(number.groups) <= 6 and not number.tied) or None
    if not usual:
        return None
    return OTHER_NUMBER.search(before) is None


def _is_usual(number: Number) -> bool:
    """Whether people group digits so: whole, 3-4-4 and the like, two by two, or one by one."""
    groups = number.groups
    return len(groups) == 1 or max(groups) == 1 or (len(groups) <= 4 and min(groups) >= 3) or (5 <= len(groups) <= 6 and max(groups) <= 3)


def _hangs_on_letters(text: Text, number: Number) -> bool:
    around = text.folded[max(0, number.start - 1) : number.start] + text.folded[number.end : number.end + 1]
    return any(char.isascii() and char.isalpha() for char in around) and not any(char.isdigit() for char in around)


def replace(_value: str, draw: Draw, _recipe: RedactionRecipe) -> str:
    """Eleven digits that begin with 100, as no mobile phone's number does."""
    return "100" + draw.digits(8)


RULE = Rule("mobile", find, replace, starts=numbers_of(*_PREFIXES), shown=(3, 2))
