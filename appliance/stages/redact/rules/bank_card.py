"""Numbers of bank cards: 16 to 19 digits whose last one fits (Luhn, ISO/IEC 7812-1) and whose first ones an issuer has."""

from __future__ import annotations

import re
from collections.abc import Iterator

from appliance.domain.recipe import RedactionRecipe
from appliance.stages.redact.drawing import Draw
from appliance.stages.redact.finding import Find, Text, numbers_of
from appliance.stages.redact.numbers import Number
from appliance.stages.redact.rules.rule import Rule
from appliance.stages.redact.rules.surroundings import OTHER_NUMBER

_TOLD = re.compile(
    r"银行|卡号|储蓄|信用卡|借记|账号|帐号|账户|帐户|转账|转帐|打款|汇款|收款|还款|工行|农行|中行|建行|交行|招行|邮储|银联|[Cc]ard|CARD"
)
_DOMESTIC = ("62", "60", "4", "5", "35", "9")
_LENGTHS = (15, 16, 17, 18, 19)


def luhn_fits(digits: str) -> bool:
    """Whether the last digit is the check digit of the others."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 + place % 2)
        total += value - 9 * (value > 9)
    return total % 10 == 0


def find(text: Text, _recipe: RedactionRecipe) -> Iterator[Find]:
    """A UnionPay number whose check digit fits is one; any other needs a word that says so."""
    for number in text.numbers:
        digits = number.digits
        if len(digits) not in _LENGTHS or not digits.isdigit() or digits[0] in "017":
            continue
        told = _TOLD.search(text.before(number.start, 20)) is not None
        sure = _is_sure(text, number, told)
        if sure is not None:
            yield Find("bank_card", number.start, number.end, digits, sure)


def _is_sure(text: Text, number: Number, told: bool) -> bool | None:
    """None if it is none."""
    digits = number.digits
    fits = luhn_fits(digits)
    if told:
        return True if fits or (digits.startswith(("62", "4", "5")) and not number.tied and len(digits) in (16, 19)) else None
    if not fits or len(digits) == 15 or (number.tied and number.confused == 0 and len(number.groups) == 1):
        return None
    if not digits.startswith(_DOMESTIC):
        return None
    other = OTHER_NUMBER.search(text.before(number.start)) is not None
    if other or len(digits) in (17, 18):
        return None
    return digits.startswith("62")


def replace(value: str, draw: Draw, _recipe: RedactionRecipe) -> str:
    """As many digits, beginning with 000, which no issuer has."""
    return "000" + draw.digits(len(value) - 3)


RULE = Rule("bank_card", find, replace, starts=numbers_of(*_LENGTHS), shown=(4, 0))
