"""Numbers of landlines: area code and seven or eight digits; without an area code only where a word says that it is a telephone."""

from __future__ import annotations

import re
from collections.abc import Iterator

from appliance.domain.recipe import RedactionRecipe
from appliance.stages.redact.drawing import Draw
from appliance.stages.redact.finding import Find, Text, numbers_of
from appliance.stages.redact.numbers import Number
from appliance.stages.redact.rules.rule import Rule
from appliance.stages.redact.rules.surroundings import AMOUNT, OTHER_NUMBER

_AREA = re.compile(r"0(?:10|2[0-57-9]|[3-9]\d\d)")
_TOLD = re.compile(r"(?:电话|座机|固话|传真|联系方式|号码|致电|拨打|[Tt]el|TEL)[^\d，。；]{0,4}$")
_EXTENSION = re.compile(r"(?:\s?转\s?|\s?分机号?\s?|[-—])(\d{1,6})(?!\d)")
_OPENING = re.compile(r"[(（]$")
_PUBLIC = ("400", "800", "955")
"""What services' numbers begin with."""


def find(text: Text, _recipe: RedactionRecipe) -> Iterator[Find]:
    """Ten to twelve digits with an area code, or seven or eight that are told to be a telephone."""
    for number in text.numbers:
        digits = number.digits
        length = len(digits)
        if not digits.isdigit() or number.tied or number.confused > 3:
            continue
        if digits[0] == "0" and 10 <= length <= 12:
            area = _AREA.match(digits)
            if area and length - area.end() in (7, 8) and digits[area.end()] in "23456789" and _is_grouped(number, area.end()):
                yield _with_ends(text, number)
        elif length in (7, 8) and digits[0] in "23456789" and len(number.groups) <= 2 and _is_local(text, number):
            yield Find("landline", number.start, number.end, digits)


def _is_local(text: Text, number: Number) -> bool:
    """Whether a word says that these digits without an area code are a telephone, and it is no public service."""
    told = _TOLD.search(text.before(number.start)) is not None
    return told and not number.digits.startswith(_PUBLIC) and not AMOUNT.match(text.after(number.end))


def _is_grouped(number: Number, area: int) -> bool:
    """Whether the area code is a group of its own or all digits stand together, or one by one."""
    groups = number.groups
    return len(groups) == 1 or groups[0] == area or max(groups) == 1


def _with_ends(text: Text, number: Number) -> Find:
    start, end = number.start, number.end
    if _OPENING.search(text.before(start, 1)):
        start -= 1
    extension = _EXTENSION.match(text.folded, end)
    value = number.digits
    if extension:
        end, value = extension.end(), f"{value}-{extension[1]}"
    sure = OTHER_NUMBER.search(text.before(number.start)) is None
    return Find("landline", start, end, value, sure)


def replace(value: str, draw: Draw, recipe: RedactionRecipe) -> str:
    """The area code where the recipe keeps areas, then a subscriber's number that begins with 0, as none does."""
    area = _AREA.match(value)
    if area is None:
        return "0" + draw.digits(7)
    kept = area[0] if recipe.keep_area else "000"
    return f"{kept}-0{draw.digits(7)}"


RULE = Rule("landline", find, replace, starts=numbers_of(7, 8, 10, 11, 12), shown=(4, 0))
