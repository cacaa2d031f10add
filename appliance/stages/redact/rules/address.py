"""Where people live: an address behind 住址, 家住, 户籍 …, one down to the door anywhere, a street with a number beside a person.

Places of accidents (在中山路12号门前) are no addresses of people and stay, unless the recipe says ``addresses = "all"``. Province, city and
district are kept where the recipe keeps areas.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from operator import itemgetter

from appliance.domain.recipe import RedactionRecipe
from appliance.stages.redact.chinese_names import ROLES
from appliance.stages.redact.drawing import Draw
from appliance.stages.redact.finding import Find, Text
from appliance.stages.redact.rules.rule import Rule
from appliance.stages.redact.spelling import HIDDEN

_COUNT = "[0-9零〇一二三四五六七八九十百两A-Za-z甲乙丙丁东西南北]"
_SMALL = r"(?:号楼|栋|幢|座|单元|室|号|组|弄|门|楼|层|房|户|队|排|支弄)"
_UNITS = (
    r"(?:省|自治区|自治州|盟|市|区|县|旗|镇|乡|街道|街道办|社区|村委会|新村|村|屯|寨|庄|湾|桥|坝|路|大道|大街|街|巷|胡同|里|"
    r"小区|花园|家园|嘉园|花苑|新苑|"
    rf"苑|公寓|大厦|广场|城|府|园|庭|居|郡|墅|坊|轩|阁|邸|宿舍|家属院|大院|"
    rf"{_COUNT}{{1,4}}\s?(?:栋|幢|座|单元|号楼|楼)\s?\d{{2,4}}(?!\d)(?:室|号|户|房)?|"
    rf"{_COUNT}{{1,4}}\s?{_SMALL}|\d{{1,4}}(?:[-－]\d{{1,4}}){{1,3}}(?:室|号)?)"
)
_UNIT = re.compile(_UNITS)
_LOCAL_UNIT = re.compile(
    r"路|街|巷|弄|胡同|村|屯|寨|庄|小区|花园|家园|嘉园|苑|公寓|大厦|新城|府|宿舍|家属院|大院|"
    rf"{_COUNT}{{1,4}}\s?(?:号|栋|幢|座|单元|室|组)|\d{{1,4}}[-－]\d{{1,4}}"
)
_HOME_WORDS = (
    "住址", "地址", "户籍", "户籍地", "户籍所在地", "户口地", "户口所在地", "居住地", "居住", "居住于", "居住在", "暂住", "暂住地",
    "暂住于", "租住", "租住于", "租住在", "家住", "现住", "住所", "住所地", "住在", "住于", "老家", "家在", "住", "送达", "送达至",
    "寄至", "寄往", "邮寄至", "邮寄到",
)  # fmt: skip
_GAP = re.compile(rf"[\s:：=\"'“”「【\[(（|是为在于{HIDDEN}]{{0,5}}")
_OTHER_STAY = re.compile(r"[记拦抓停挡卡站扣压堵撞夹接刹控按拉缠捆锁稳留困忍守顶靠封遮盖]住$|住[院宿房宅户处建]")
_WEAK = ("地址", "住", "居住")
_BODY = re.compile(rf"[\u4e00-\u9fff0-9A-Za-z\-－#{HIDDEN}]+(?: [\u4e00-\u9fff0-9A-Za-z\-－#{HIDDEN}]+){{0,6}}")
_DOOR = re.compile(
    rf"{_COUNT}{{1,4}}\s?(?:号楼|栋|幢|座|楼)\s?(?:{_COUNT}{{1,3}}\s?(?:单元|门|梯)\s?)?(?:{_COUNT}{{1,3}}\s?[层楼]\s?)?\d{{2,4}}(?:室|号房?|户|房)?"
    rf"|{_COUNT}{{1,3}}\s?单元\s?(?:{_COUNT}{{1,3}}\s?[层楼]\s?)?\d{{2,4}}(?:室|号房?|户|房)?"
    r"|(?<=[区园苑庭府城墅居里村])\s?\d{1,3}[-－]\d{1,2}[-－]\d{2,4}(?:室|号)?"
    r"|(?<=[路街巷弄道])\d{1,5}号\s?(?:\d{2,4}室)"
    r"|(?<=[村庄屯寨])[\d一二三四五六七八九十]{1,3}组\s?\d{1,4}号"
)
_LEFT = re.compile(rf"[\u4e00-\u9fff0-9A-Za-z\-－#{HIDDEN} ]*\Z")
_CUT = re.compile(
    r"住址|地址|户籍地?|住在|家住|现住|居住|租住|暂住|位于|前往|来到|到达|赶到|返回|回到|送到|送至|[在到于从至往是为向住的]|"
    + "|".join(sorted(ROLES, key=len, reverse=True))
)
_STREET = re.compile(
    r"(?:[\u4e00-\u9fff]{2,12}(?:市|区|县|镇|乡|街道)){1,3}[\u4e00-\u9fff]{1,10}(?:路|街|大道|巷|弄|村|里)"
    r"(?:\d{1,5}|[一二三四五六七八九十]{1,4})号"
)
_PERSON_WORDS = ("男，", "女，", "男,", "女,", "男）", "女）", "身份证", "出生", "汉族")
_PLACE = re.compile(r"地点|位置|路段|现场|事发|发生|途经|行驶|行至|[在至到]$")
_NEAR = re.compile(r"^(?:附近|门口|门前|处|路段|对面|旁|路口|前|东侧|西侧|南侧|北侧|以)")
_ADMIN = re.compile(
    r"(?:[\u4e00-\u9fff]{2,9}?(?:省|自治区))?(?:[\u4e00-\u9fff]{2,9}?(?:市|自治州|盟))?(?:[\u4e00-\u9fff]{1,9}?(?:区|县|旗)(?!区))?"
)
_LONGEST = 60
_DOOR_CHARS = 16
_NUMERALS = "0123456789一二三四五六七八九十"
_DOOR_WORDS = (
    *("单元", "室", "栋", "幢", "号楼", "组"),
    *(f"{house}{digit}" for house in "座楼" for digit in "123456789"),
    *(f"{digit}-{other}" for digit in "0123456789" for other in "0123456789"),
)


def find(text: Text, recipe: RedactionRecipe) -> Iterator[Find]:
    """Addresses behind a word, by their door, and of people; overlapping ones are sorted out later."""
    folded = text.folded
    for start, end in text.places("address_home"):
        word = folded[start:end]
        if word[-1] == "住" and (_OTHER_STAY.search(folded[max(0, start - 1) : end]) or _OTHER_STAY.match(folded, end - 1)):
            continue
        gap = _GAP.match(folded, end)
        assert gap is not None
        body = _BODY.match(folded, gap.end(), gap.end() + _LONGEST)
        if body is not None:
            yield from _of_body(folded, word, body)
    for begin, end in _around(text.places("address_door"), len(folded)):
        for door in _DOOR.finditer(folded, begin, end):
            start_or_none = _begin(folded, door.start())
            if start_or_none is not None:
                yield _find(folded, start_or_none, door.end())
    for _, end in text.places("address_number"):
        yield from _of_street(text, end, recipe)


def _around(places: Sequence[tuple[int, int]], length: int) -> Iterator[tuple[int, int]]:
    """Stretches of text around words, joined where they meet, so that none is looked at twice."""
    begin, end = 0, 0
    for left, right in places:
        if left - _DOOR_CHARS > end:
            if end:
                yield begin, end
            begin = max(0, left - _DOOR_CHARS)
        end = min(length, right + _DOOR_CHARS)
    if end:
        yield begin, end


def _of_street(text: Text, end: int, recipe: RedactionRecipe) -> Iterator[Find]:
    """A street and a number that ends here, if it belongs to a person or the recipe takes all."""
    everything = recipe.addresses == "all"
    if not everything and (_NEAR.match(text.after(end)) or not _is_near_person(text, end)):
        return
    street = _STREET.search(text.folded, max(0, end - 45), end)
    if street is None or street.end() != end or "某" in street[0]:
        return
    if everything or not _PLACE.search(text.before(street.start(), 12)):
        yield _find(text.folded, _after_cut(text.folded, street.start(), end), end)


def _is_near_person(text: Text, place: int) -> bool:
    """Whether a word in the 70 characters before a place says that somebody is spoken of."""
    for group in ("role", "address_person"):
        places = text.places(group)
        first = bisect_left(places, place - 70, key=itemgetter(1))
        if first < len(places) and places[first][1] <= place:
            return True
    return False


def _of_body(folded: str, word: str, body: re.Match[str]) -> Iterator[Find]:
    end, local = 0, 0
    for unit in _UNIT.finditer(body[0]):
        if unit.start() - end > 14:
            break
        end = unit.end()
    written = body[0][:end]
    local = len(_LOCAL_UNIT.findall(written))
    if not local or "某" in written or (word in _WEAK and local < 2 and len(_UNIT.findall(written)) < 3):
        return
    if _NEAR.match(body[0][end:]) and word == "地址":
        return
    yield _find(folded, body.start(), body.start() + end)


def _begin(folded: str, door: int) -> int | None:
    """Where the address begins that ends with this door; None for a door without one."""
    left = _LEFT.search(folded, max(0, door - 36), door)
    assert left is not None
    start = left.start()
    for cut in _CUT.finditer(folded, start, door):
        start = cut.end()
    while start < door and folded[start] in (" ", HIDDEN):
        start += 1
    written = folded[start:door]
    if "某" in written or sum("\u4e00" <= char <= "\u9fff" for char in written) < 2:
        return None
    return start


def _after_cut(folded: str, start: int, end: int) -> int:
    for cut in _CUT.finditer(folded, start, end):
        if end - cut.end() >= 6:
            start = cut.end()
    return start


def _find(folded: str, start: int, end: int) -> Find:
    value = "".join(char for char in folded[start:end] if char.isalnum() or char == "-")
    return Find("address", start, end, value)


def replace(value: str, draw: Draw, recipe: RedactionRecipe) -> str:
    """Province, city and district as they were where the recipe keeps areas, then 某 streets and houses of as many parts as before."""
    admin = _ADMIN.match(value)
    kept = admin[0] if admin and recipe.keep_area else ""
    rest = value[len(admin[0]) if admin else 0 :]
    parts = ["某" + next((unit for unit in ("镇", "乡") if unit in rest), "")] if re.search("[镇乡]", rest) else []
    village = "村" in rest and "新村" not in rest
    if re.search("路|街|大道|巷|弄|胡同", rest) or not (village or re.search(r"小区|园|苑|公寓|府|城|村", rest)):
        parts.append(f"某路{draw.below(900) + 1}号")
    if village:
        parts.append(f"某村{draw.below(20) + 1}组")
    elif re.search("小区|花园|家园|苑|公寓|府|城|庭|园|新村", rest):
        parts.append("某小区")
    if re.search("栋|幢|座|号楼|[0-9]-[0-9]", rest):
        parts.append(f"{draw.below(60) + 1}幢")
    if re.search("单元", rest):
        parts.append(f"{draw.below(6) + 1}单元")
    if re.search("室|户|房|[0-9]{3,4}$", rest):
        parts.append(f"{draw.below(33) + 1}{draw.below(8) + 1:02d}室")
    return kept + "".join(parts)


_ANCHORS = {
    "role": ROLES,
    "address_person": _PERSON_WORDS,
    "address_home": _HOME_WORDS,
    "address_door": _DOOR_WORDS,
    "address_number": tuple(f"{digit}号" for digit in _NUMERALS),
}
RULE = Rule("address", find, replace, _ANCHORS, frozenset({"address_home", "address_door", "address_number"}), shown=(2, 0))
