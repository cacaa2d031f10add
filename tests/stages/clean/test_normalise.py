"""What is invisible goes, and normalising gives one spelling to what looks the same and does no harm to Chinese text."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.stages.clean.rules import invisible, normalise
from appliance.stages.clean.rules.invisible import visible
from appliance.stages.clean.rules.normalise import normalised

CHANGED = {
    "full-width letters and digits": ("车牌 京Ａ１２３４５", "车牌 京A12345"),
    "full-width signs": ("３０％＋５＝３５／小时", "30%+5=35/小时"),
    "ideographic space": ("甲\u3000乙", "甲 乙"),
    "no-break space": ("50\u00a0km", "50 km"),
    "decomposed": ("e\u0301", "é"),
    "compatibility ideograph": ("\uf900", "豈"),
    "Kangxi radicals": ("⼈⾏横道", "人行横道"),
    "ligature": ("traﬃc", "traffic"),
    "zero-width": ("道\u200b路\ufeff交\u2060通", "道路交通"),
    "soft hyphen": ("inter\u00adsection", "intersection"),
    "marks of direction": ("a\u202eb\u202cc\u2066d\u2069", "abcd"),
    "hidden tags": ("问\U000e0041\U000e0042", "问"),
    "NUL and bell": ("a\x00b\x07c", "abc"),
    "colours of a terminal": ("\x1b[31m红\x1b[0m灯", "红灯"),
    "title of a terminal": ("\x1b]0;x\x07灯", "灯"),
    "C1 controls": ("a\x9bb", "ab"),
    "Windows lines": ("一\r\n二\r三", "一\n二\n三"),
    "separators": ("一\u2028二\u2029三\x0b四\x0c五\x85六", "一\n二\n三\n四\n五\n六"),
    "ends of lines": ("一  \n二\t\n三 ", "一\n二\n三"),
    "blank lines": ("一\n\n\n\n二\n \n \n三", "一\n\n二\n\n三"),
    "ends of the text": ("\n\u3000 一 \n", "一"),
    "stray joiner": ("道\u200d路", "道路"),
}

KEPT = [
    "机动车行经人行横道时，应当减速行驶；遇行人正在通过，应当停车让行！（第四十七条）",
    "“绿波”：东→西，周期 90 s？3～5 个路口…",
    "①主路 ②辅路；面积 20㎡，气温 30℃，罚款￥200，速度 60㎞/h",
    "《道路交通安全法》【第 99 条】、〔2019〕—— 见附件·一",
    "if x > 3:\n    y = 4\n\n\tz = 5",
    "👨\u200d👩\u200d👧 🚦 ❤\ufe0f\u200d🔥 1\ufe0f\u20e3",
    "ﾊﾟﾄｶｰ ½ x² H₂O",
    "𠮷野家",
]


def tidied(text: str) -> str:
    """Both rules in their order."""
    return normalised(visible(text))


@pytest.mark.parametrize("kind", CHANGED)
def test_what_looks_the_same_becomes_the_same(kind: str) -> None:
    """Each of these spellings becomes the ordinary one."""
    before, after = CHANGED[kind]
    assert tidied(before) == after


@pytest.mark.parametrize("text", KEPT)
def test_what_means_something_is_kept(text: str) -> None:
    """Chinese punctuation, circled numbers, units, indentation, code and emoji stay as they are."""
    assert tidied(text) == text


@given(st.text(max_size=60) | st.text("a\u200d👨\x1b[]3m\u3000\n \t\r\u0301e\u1100\u1161Ａ，⼈\ufe0f", max_size=30))
def test_twice_is_once(text: str) -> None:
    """Normalising what is normalised changes nothing, the result is NFC, and no control character is left."""
    once = tidied(text)
    assert tidied(once) == once
    assert unicodedata.is_normalized("NFC", once)
    assert not any(unicodedata.category(char) == "Cc" and char not in "\n\t" for char in once)


def test_the_quick_look_misses_nothing() -> None:
    """No character that the table changes, and none that is not in NFC, passes as ordinary."""
    ordinary = [chr(code) for code in range(0x110000) if not normalise.UNUSUAL.match(chr(code))]
    assert not [char for char in ordinary if char.translate(normalise._TABLE) != char]
    assert not [chr(code) for code in range(0x110000) if chr(code).isprintable() and chr(code).translate(invisible._TABLE) != chr(code)]
    assert unicodedata.is_normalized("NFC", "".join(ordinary))
