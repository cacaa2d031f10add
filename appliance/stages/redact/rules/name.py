"""Names of people beside words that say what somebody is (报警人, 当事人, 民警 …), before what only people do, and where they come again.

A name is a surname and one or two characters that given names are made of, or a name with a dot (买买提·艾力); how long it is, is told by
what follows. 张某 and 王某某 are nobody's names; pseudonyms are of the same kind: 林某文清.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from appliance.domain.recipe import RedactionRecipe
from appliance.stages.redact.chinese_names import (
    BEHIND_NAMES,
    COMPOUND_SURNAMES,
    GIVEN,
    LIKE_NAMES,
    NOT_IN_NAMES,
    ROLES,
    SURNAMES,
    WORDS_BEHIND,
    surname_of,
)
from appliance.stages.redact.drawing import Draw
from appliance.stages.redact.finding import Find, Text
from appliance.stages.redact.rules.plate import PROVINCES
from appliance.stages.redact.rules.rule import Rule
from appliance.stages.redact.spelling import HIDDEN

_GAP = rf"[\s:：=\"'“”‘’「『【\[(（|，,、是为系叫{HIDDEN}]"
_BEHIND_ROLE = re.compile(rf"{_GAP}{{0,6}}")
_BEHIND_LABEL = re.compile(
    rf"(?:(?:的)?(?:姓名|名字|本人|信息|签名|签字)|[一二三四甲乙丙丁ABCDabcd1-9]{{1,2}}|[(（][^()（）\n]{{1,6}}[)）]){_GAP}{{0,6}}"
)
"""当事人甲：张伟, 当事人（甲方）张伟."""
_PLAIN_ROLE = frozenset(
    [
        "对方",
        "女子",
        "男子",
        "老人",
        "群众",
        "市民",
        "游客",
        "村民",
        "居民",
        "行人",
        "乘客",
        "女士",
        "先生",
        "朋友",
        "同事",
        "医生",
        "司机",
        "交警",
        "民警",
        "家属",
    ]
)
_DEEDS = (
    *(opening + word for opening in "(（" for word in ("男", "女", " 男", " 女", *"系身驾当报司车伤死乘行联电手证0123456789")),
    *(comma + sex for comma in ("，", ",", "， ", ", ") for sex in "男女"),
    "驾驶", "驾车", "骑", "报警称", "报警说", "称其", "陈述称", "的电话", "的手机", "的身份证", "的驾驶证", "的车牌", "的住址", "的银行",
    "来电", "报案", "投诉", "陈述", "供述", "的陈述", "的供述", "受伤", "死亡", "承担", "负全部", "负主要", "负次要", "负同等", "无证",
    "酒后",
    "醉酒", "签字", "到案", "自首", "逃逸", "所驾", "反映",
)  # fmt: skip
_AFTER = re.compile(
    r"[(（]\s?(?:男|女|系|身份证|驾驶人|驾驶员|当事人|报警人|司机|车主|伤者|死者|乘客|行人|联系电话|电话|手机|证件|\d{2}岁|1[3-9]\d)"
    r"|[，,]\s?(?:男|女)[，,、\s(（]"
    rf"|驾驶(?:的|着|车|小|大|中|重|轻|一|无|号|普|电|二|两|三|摩|机|[{PROVINCES}])"
    r"|驾车|骑(?:电|自|摩|行|车)|骑着|报警称|报警说|称其|陈述称|的(?:电话|手机|身份证|驾驶证|车牌|住址|银行)"
    r"|来电|报案|投诉|陈述|供述|的陈述|的供述|受伤|死亡|承担|负(?:全部|主要|次要|同等)|无证|酒后|醉酒|签字|到案|自首|逃逸|所驾|反映"
)
_BEFORE_NAME = frozenset("和与由系对将被向给为让是称及同、，。；：:,;!！?？（(“\"'’” \t\n" + HIDDEN)
_TITLE = re.compile(r"(?:先生|女士|小姐|师傅|同志|警官|同学|老师|大爷|大妈|阿姨)")
_DOTS = "·•・"
_DOTTED = re.compile(rf"[\u4e00-\u9fff]{{2,7}}(?:[{_DOTS}][\u4e00-\u9fff]{{2,7}}){{1,3}}")
_LATIN = re.compile(r"[A-Z][a-z]{1,15}(?: [A-Z][a-z]{1,15}){1,2}(?![a-z])")
_AND = re.compile(r"\s?(?:[、，,/;；]|和|与|及|以及|跟)\s?(?=[\u4e00-\u9fff])")
_EXPLICIT = re.compile(r"[:：=|\"“'【是为系叫名]")
_SPACED = re.compile(rf"([\u4e00-\u9fff])[ {HIDDEN}]{{1,3}}(?=[\u4e00-\u9fff])")
_PLACE = re.compile(
    r".{0,2}(?:(?:路|街|道)(?:口|段|面|中|东|西|南|北|上|交|与|和)|大道|大街|大桥|大厦|立交|高架|隧道|小区|广场|公园|医院|学校|中学|小学|派出所|中队|大队|支队|[村镇乡县市区](?![\u4e00-\u9fff]?[,，、。]))"
)
"""Behind a surname and one character: 兰桂路口 and 王家村 are places."""
_LABELS = frozenset(
    "记录 审核 审批 询问 承办 主办 经办 值班 签收 复核 制表 填表 领导 经手 受理 校对 调查 勘查 绘图 检验 鉴定 翻译 甲方 乙方 丙方".split()  # noqa: SIM905  # a list of words reads better as words
)
"""Words before which a name stands only behind a colon."""
_WORDLIKE = frozenset("于向时应方由单全那车路高马黄白安严关连计常明易有都原从经项万平强石江海花任能后水双步门开景和古农冷成国相干包华")
"""Surnames that are ordinary words, too."""
_CAN_FOLLOW = SURNAMES | {surname[0] for surname in COMPOUND_SURNAMES} | set("的本为是系叫一二三四甲乙丙丁")
_COMMON = (
    "王李张刘陈杨黄赵吴周徐孙朱胡郭何林罗郑梁谢宋唐许韩冯邓曹彭曾肖田董袁潘蒋蔡余杜叶程苏魏吕丁沈姚卢姜崔钟谭陆汪范廖贾夏韦付"
    "邹孟熊秦邱尹薛闫段雷侯陶黎贺顾毛郝龚邵"
)
_DRAWN = "文清明远安平思齐子衡景行若水云起知言望舒怀瑾承泽嘉树念真以宁守正致和修竹映川北辰南星"


def find(text: Text, _recipe: RedactionRecipe) -> Iterator[Find]:
    """Names behind a role, before what only people do, and wherever they come again in the same text."""
    searches = [search for group, search in _SEARCHES.items() if text.places(group)]
    yield from {(place.start, place.end): place for search in searches for place in search(text)}.values()


def again(text: Text, names: frozenset[str]) -> Iterator[Find]:
    """Every place where one of the names stands, which were found elsewhere in the same row."""
    for name in sorted(names):
        start = text.folded.find(name)
        while start >= 0:
            yield Find("name", start, start + len(name), name)
            start = text.folded.find(name, start + len(name))


def _behind_roles(text: Text) -> Iterator[Find]:
    folded, has_dots = text.folded, bool(text.places("name_dot"))
    for start, end in text.places("role"):
        follows = folded[end : end + 1]
        if follows not in _CAN_FOLLOW and "\u4e00" <= follows <= "\u9fff" and not (has_dots and _dot_in(folded, end)):
            continue
        for pattern in (_BEHIND_ROLE, _BEHIND_LABEL):
            gap = pattern.match(folded, end)
            names = list(_names_from(text, gap, start)) if gap else []
            yield from names
            if names:
                break


def _names_from(text: Text, gap: re.Match[str], role: int) -> Iterator[Find]:
    """The name behind a role and what stands between, and those that are listed with it."""
    place: Find | None = None
    start = gap.end()
    if dotted := _DOTTED.match(text.folded, start):
        name = _without_deed(dotted[0])
        place = Find("name", start, start + len(name), name)
    elif latin := _LATIN.match(text.folded, start):
        place = Find("name", start, latin.end(), latin[0])
    else:
        explicit = start > gap.start() and _EXPLICIT.search(gap[0]) is not None
        if not explicit and text.folded[role : gap.start()] in _LABELS:
            return
        place = _name_at(text, start, explicit, plain=text.folded[role:start] in _PLAIN_ROLE)
    while place is not None:
        yield place
        joined = _AND.match(text.folded, place.end)
        place = _name_at(text, joined.end(), explicit=False, listed=True) if joined else None


def _name_at(text: Text, start: int, explicit: bool, *, listed: bool = False, plain: bool = False) -> Find | None:
    """The name that begins here, or None."""
    ahead, breaks = _closed_up(text.folded[start : start + 12])
    surname = surname_of(ahead)
    if not surname or ahead[surname : surname + 1] == "某":
        return None
    like_word = surname == 1 and ahead[:2] in LIKE_NAMES
    if like_word and not (ahead[2:3] in GIVEN and (not _is_han(ahead[3:4]) or _ends_name(ahead, 3)) and not plain):
        return None
    if _TITLE.match(ahead, surname):
        return None
    length = _length(ahead, surname)
    if not length or _PLACE.match(ahead, surname + 1):
        return None
    given = ahead[surname:length]
    usual = all(char in GIVEN for char in given)
    ends = not _is_han(ahead[length : length + 1])
    possible = not any(char in NOT_IN_NAMES for char in given)
    if listed and not (usual or (possible and ends)):
        return None
    sure = not like_word and (usual or (explicit and possible))
    common = surname == 2 or ahead[0] not in _WORDLIKE
    if not sure and not (like_word or (possible and (explicit or (not plain and (ends or (common and _ends_name(ahead, length))))))):
        return None
    if surname == 1 and not explicit and not ends and length == 2 and not _ends_name(ahead, length):
        sure = sure and not plain
    end = start + length + breaks[length - 1]
    return Find("name", start, end, ahead[:length], sure)


def _closed_up(ahead: str) -> tuple[str, list[int]]:
    """Text without the blanks between single characters (张 伟), and how many were left out before each character that is left."""
    if " " not in ahead and HIDDEN not in ahead:
        return ahead, [0] * len(ahead)
    kept: list[str] = []
    breaks: list[int] = []
    left_out = 0
    for place, char in enumerate(ahead):
        if char in (" ", HIDDEN) and len(kept) < 3 and _is_han(ahead[place + 1 : place + 2] or ahead[place + 2 : place + 3]):
            left_out += 1
            continue
        kept.append(char)
        breaks.append(left_out)
    return "".join(kept), breaks


def _length(ahead: str, surname: int) -> int:
    """Characters of the name, surname and all; 0 if none follows the surname."""
    first, second, third = (ahead[surname + place : surname + place + 1] for place in range(3))
    if not _is_han(first) or _ends_name(ahead, surname):
        return 0
    if not _is_han(second) or _ends_name(ahead, surname + 1) or second == "和":
        return surname + 1
    if second in GIVEN or (second not in NOT_IN_NAMES and (not _is_han(third) or _ends_name(ahead, surname + 2))):
        return surname + 2
    return surname + 1


def _ends_name(ahead: str, place: int) -> bool:
    """Whether a character ends the name before it; others only in a word of two, and are part of a name elsewhere."""
    char = ahead[place : place + 1]
    return (char in BEHIND_NAMES and char not in GIVEN) or ahead[place : place + 2] in WORDS_BEHIND


def _before_deeds(text: Text) -> Iterator[Find]:
    """张伟（男，35岁）, 李强驾驶小型轿车: the name is looked for backwards from what follows it."""
    folded = text.folded
    for begin, _ in text.places("name_deed"):
        deed = _AFTER.match(folded, begin) if folded[begin - 1 : begin] in GIVEN else None
        for length in (3, 2, 4) if deed else ():
            assert deed is not None
            start = deed.start() - length
            name = folded[max(0, start) : deed.start()]
            surname = surname_of(name)
            if start < 0 or not surname or len(name) - surname not in (1, 2) or (length == 4 and surname == 1):
                continue
            if name[:2] in LIKE_NAMES or any(char not in GIVEN for char in name[surname:]):
                continue
            if start == 0 or folded[start - 1] in _BEFORE_NAME or _role_ends_at(folded, start):
                yield Find("name", start, deed.start(), name, sure=_is_sure_before(name, surname))
                break


def _is_sure_before(name: str, surname: int) -> bool:
    return surname == 2 or name[0] in _COMMON or len(name) == 3


def _role_ends_at(folded: str, place: int) -> bool:
    return folded.endswith(ROLES, 0, place)


def _foreign(text: Text) -> Iterator[Find]:
    """Names with dots anywhere."""
    for match in _DOTTED.finditer(text.folded):
        whole = match[0]
        role = max((role for role in ROLES if whole.startswith(role)), key=len, default="")
        told = role or text.before(match.start(), 8).rstrip(" ：:").endswith(ROLES)
        if "某" not in whole:
            value = _without_deed(whole[len(role) :])
            start = match.start() + len(role)
            sure = bool(told) or _AFTER.match(text.folded, start + len(value)) is not None
            yield Find("name", start, start + len(value), value, sure)


def _without_deed(name: str) -> str:
    """A name with dots, cut off where its last part is followed by what somebody does."""
    last = max(map(name.rfind, _DOTS)) + 1
    ends = (place for place in range(last + 2, len(name)) if name[place] in BEHIND_NAMES)
    return name[: next(ends, len(name))]


def _dot_in(folded: str, place: int) -> bool:
    """Whether a name with a dot may begin here."""
    return any(dot in folded[place : place + 8] for dot in _DOTS)


def _is_han(char: str) -> bool:
    return "\u4e00" <= char <= "\u9fff" if char else False


def replace(_value: str, draw: Draw, _recipe: RedactionRecipe) -> str:
    """Another surname, 某, and two characters: a quarter of a million different people."""
    return f"{draw.among(_COMMON)}某{draw.among(_DRAWN)}{draw.among(_DRAWN)}"


_SEARCHES = {"name_dot": _foreign, "name_deed": _before_deeds, "role": _behind_roles}
"""Group of anchors → how names are looked for where it is; where two find the same place, the later one tells what it is."""
_ANCHORS = {"role": ROLES, "name_deed": _DEEDS, "name_dot": tuple(_DOTS)}
RULE = Rule("name", find, replace, _ANCHORS, frozenset(_ANCHORS), shown=(1, 0))
