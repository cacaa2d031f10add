"""Citizens' identity numbers (GB 11643-1999): region, date of birth, sequence (odd for men), check digit; older ones have 15 digits.

A driving licence bears the same number. It is sure when the check digit fits or a word beside it says what it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from appliance.domain.recipe import RedactionRecipe
from appliance.stages.redact.drawing import Draw
from appliance.stages.redact.finding import Find, Text, numbers_of
from appliance.stages.redact.numbers import Number
from appliance.stages.redact.rules.rule import Rule
from appliance.stages.redact.rules.surroundings import OTHER_NUMBER

REGIONS = frozenset(
    {
        *("11", "12", "13", "14", "15", "21", "22", "23", "31", "32", "33", "34", "35", "36", "37", "41", "42", "43", "44", "45", "46"),
        *("50", "51", "52", "53", "54", "61", "62", "63", "64", "65", "71", "81", "82", "83", "91"),
    }
)
"""First two digits that provinces have (GB/T 2260)."""
_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_CONTEXT = re.compile(r"身份证|身份号|身份證|公民身份|证件|证号|驾驶证|驾照|驾驶人证|ID\s?card|ID number", re.IGNORECASE)
_RECENT = 2010
"""Numbers of cases look like those of people born since."""


def check_digit(first_17: str) -> str:
    """The 18th character (ISO 7064 MOD 11-2)."""
    return "10X98765432"[sum(int(digit) * weight for digit, weight in zip(first_17, _WEIGHTS, strict=True)) % 11]


def find(text: Text, _recipe: RedactionRecipe) -> Iterator[Find]:
    """Numbers of 18 digits, and of 15 where a word says that it is one."""
    for number in text.numbers:
        if len(number.digits) == 18 and number.digits[:2] in REGIONS:
            yield from _of_18(text, number)
        elif len(number.digits) == 15 and number.digits[:2] in REGIONS and number.digits.isdigit() and _is_date("19" + number.digits[6:12]):
            if _CONTEXT.search(text.before(number.start)):
                yield Find("id_number", number.start, number.end, number.digits)
            elif not number.tied and not OTHER_NUMBER.search(text.before(number.start)):
                yield Find("id_number", number.start, number.end, number.digits, sure=False)


def _of_18(text: Text, number: Number) -> Iterator[Find]:
    digits = number.digits
    before = text.before(number.start)
    told = _CONTEXT.search(before) is not None
    if _is_date(digits[6:14]):
        other = OTHER_NUMBER.search(before) is not None and not told
        fits = check_digit(digits[:17]) == digits[17]
        if other and int(digits[6:10]) >= _RECENT:
            return
        if fits or told:
            yield Find("id_number", number.start, number.end, digits)
        elif not other and int(digits[6:10]) < _RECENT and not number.tied:
            yield Find("id_number", number.start, number.end, digits, sure=False)
    elif told:
        yield Find("id_number", number.start, number.end, digits)


def _is_date(written: str) -> bool:
    """Whether eight digits are a day on which somebody who lives may have been born."""
    year, month, day = int(written[:4]), int(written[4:6]), int(written[6:])
    return 1900 <= year <= 2035 and 1 <= month <= 12 and 1 <= day <= (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)[month - 1]


def replace(value: str, draw: Draw, recipe: RedactionRecipe) -> str:
    """A number of a region that does not exist (00), with the sex and the age band of the person where the recipe keeps them."""
    born, sequence = (value[6:14], value[14:17]) if len(value) == 18 else ("19" + value[6:12], value[12:15])
    year = 1940 + draw.below(70)
    if recipe.age_band and _is_date(born):
        year = int(born[:4]) // recipe.age_band * recipe.age_band + draw.below(recipe.age_band)
    number = draw.below(500) * 2
    odd = int(sequence[-1]) % 2 if recipe.keep_sex and sequence[-1].isdigit() else draw.below(2)
    first_17 = f"00{draw.digits(4)}{year}{draw.below(12) + 1:02d}{draw.below(28) + 1:02d}{number + odd:03d}"
    return first_17 + check_digit(first_17)


RULE = Rule("id_number", find, replace, starts=numbers_of(15, 18), shown=(3, 1))
