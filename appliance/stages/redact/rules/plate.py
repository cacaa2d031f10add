"""Number plates (GA 36-2018): province, office, five characters or six for new energy; 警 学 挂 港 澳 …, embassies, armed police."""

from __future__ import annotations

import re
from collections.abc import Iterator

from appliance.domain.recipe import RedactionRecipe
from appliance.stages.redact.drawing import Draw
from appliance.stages.redact.finding import Find, Text
from appliance.stages.redact.rules.rule import Rule
from appliance.stages.redact.spelling import HIDDEN

PROVINCES = "京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼"
_BREAK = rf"[ \t·•．.・_\-—*{HIDDEN}]"
_SPELLED = dict(zip("〇零一二三四五六七八九幺洞拐", "0012345678910" + "7", strict=True))
_SIGN = "A-Za-z0-9" + "".join(_SPELLED)
_SPECIAL = "警学挂港澳试超领使"
_CIVIL = re.compile(
    rf"([{PROVINCES}]){_BREAK}{{0,2}}([A-Za-z0]){_BREAK}{{0,3}}"
    rf"([{_SIGN}](?:{_BREAK}{{0,2}}[{_SIGN}]){{3,5}})(?:{_BREAK}{{0,2}}([{_SPECIAL}]))?(?![A-Za-z0-9])"
)
_EMBASSY = re.compile(rf"使{_BREAK}{{0,2}}(\d(?:{_BREAK}?\d){{5}})(?!\d)|(?<!\d)(\d{{6}}){_BREAK}{{0,2}}使(?![用馆得])")
_ARMED = re.compile(rf"(?<![A-Za-z])WJ{_BREAK}{{0,2}}(?:[{PROVINCES}]|\d\d){_BREAK}{{0,2}}([0-9A-Za-z]{{5}})(?![0-9A-Za-z])")
_TOLD = re.compile(r"车牌|号牌|牌照|牌号|车号|车辆|轿车|货车|客车|摩托|电动车|面包车|挂车|出租车|驾驶|悬挂|牌为|号为")
_STEMS = "甲乙丙丁戊己庚辛壬癸"
_LETTERS_DIGITS = "ABCDEFGHJKLMNPQRSTUVWXYZ0123456789"


def find(text: Text, _recipe: RedactionRecipe) -> Iterator[Find]:
    """Plates in any spelling; the characters behind the office have two digits at least."""
    behind = 0
    for start, _ in text.places("plate_province"):
        match = _CIVIL.match(text.folded, start) if start >= behind else None
        if match:
            behind = match.end()
            yield from _civil(text, match)
    if text.places("plate_embassy"):
        for match in _EMBASSY.finditer(text.folded):
            digits = "".join(char for char in match[0] if char.isdigit())
            yield Find("plate", match.start(), match.end(), f"使{digits}", _TOLD.search(text.before(match.start())) is not None)
    if text.places("plate_armed"):
        for match in _ARMED.finditer(text.folded):
            yield Find("plate", match.start(), match.end(), _bare(match[0]))


def _civil(text: Text, match: re.Match[str]) -> Iterator[Find]:
    office = match[2].upper().replace("0", "O")
    sign, special, end = _bare(match[3]), match[4] or "", match.end()
    if not special and len(sign) > 4 and any(char in _SPELLED for char in match[3][-1]) and not _is_spelled(match[3]):
        # 苏A12345一辆: the numeral behind belongs to the next word.
        sign, end = _bare(match[3][:-1]), end - 1
    digits = sum(char.isdigit() for char in sign)
    told = digits < 3 and (_TOLD.search(text.before(match.start())) is not None or _TOLD.search(text.after(end)) is not None)
    if len(sign) == 4 and special:
        fits = digits >= 2
    elif len(sign) == 5:
        fits = digits >= 2 or (told and digits >= 1)
    elif len(sign) == 6:
        fits = _is_new_energy(sign)
    else:
        return
    if fits:
        sure = told or digits >= 3 or special != ""
        yield Find("plate", match.start(), end, f"{match[1]}{office}{sign}{special if len(sign) == 4 else ''}", sure)


def _is_spelled(written: str) -> bool:
    return sum(char in _SPELLED for char in written) >= 3


def _bare(written: str) -> str:
    plain = "".join(_SPELLED.get(char, char) for char in written if char.isalnum())
    return plain.upper()


def _is_new_energy(sign: str) -> bool:
    """Small cars: a letter, a letter or digit, four digits. Large ones: five digits, a letter. A scanner may have read 0 as O."""
    plain = sign.translate(str.maketrans("OIQ", "010"))
    small = sign[0] in "ABCDEFGHJK" and sign[1] not in "IO" and plain[2:].isdigit()
    return small or (plain[:5].isdigit() and sign[5] in "ABCDEFGHJK")


def replace(value: str, draw: Draw, recipe: RedactionRecipe) -> str:
    """Province and office where the recipe keeps them, then a heavenly stem, which no plate has, and three or four signs."""
    if not value[1].isalpha() or value[0] not in PROVINCES:
        return f"使甲{draw.letters(5, '0123456789')}"
    region = value[:2] if recipe.keep_plate_region else "某" + draw.among("ABCDEFGHJK")
    sign, special = (value[2:-1], value[-1]) if value[-1] in _SPECIAL else (value[2:], "")
    kept = sign[0] if len(sign) == 6 and sign[0] in "DF" else ""
    count = len(sign) - len(kept) - 2
    return f"{region}{kept}{draw.among(_STEMS)}{draw.among(_LETTERS_DIGITS)}{draw.digits(count)}{special}"


_ANCHORS = {"plate_province": tuple(PROVINCES), "plate_embassy": ("使",), "plate_armed": ("WJ",)}
RULE = Rule("plate", find, replace, _ANCHORS, frozenset(_ANCHORS), shown=(2, 1))
