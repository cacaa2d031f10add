"""In which language a text is, and in which form: quick rules over its beginning, for counting."""

from __future__ import annotations

import re

import msgspec

from appliance.domain.description import Form, Language

LOOKED_AT = 2000
"""Characters of a text that are looked at."""
SHORT = 15
"""Characters of the longest answer that counts as a word rather than a sentence."""

_HAN = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]+")
_WORD = re.compile(r"[A-Za-z\u00c0-\u024f]{2,}")
_OTHER = re.compile(r"[\u0370-\u06ff\u0900-\u0dff\u0e00-\u0eff\u3040-\u30ff\uac00-\ud7af]+")
_WORD_WEIGHT = 2
"""A Latin word counts as many Chinese characters: that is how many say the same, roughly."""
_ITEM = re.compile(
    r"^\s*(?:[-*•·●]\s|\d{1,3}[.、)）]|[(（]\d{1,3}[)）]|[一二三四五六七八九十]{1,3}、|第[一二三四五六七八九十\d]{1,3}[条步点])",
    re.MULTILINE,
)
_TABLE_LINE = re.compile(r"^\s*\|.*\|\s*$", re.MULTILINE)


def language_of(text: str) -> Language:
    """Chinese or English when it makes up 70 % of what is written, otherwise ``mixed``; names and numbers decide nothing."""
    begin = text[:LOOKED_AT]
    han = sum(map(len, _HAN.findall(begin)))
    words = 0 if begin.isascii() is False and not _WORD.search(begin) else _WORD_WEIGHT * len(_WORD.findall(begin))
    other = 0 if begin.isascii() else sum(map(len, _OTHER.findall(begin)))
    total = han + words + other
    if not total:
        return "none"
    if han >= 0.7 * total:
        return "zh"
    if words >= 0.7 * total:
        return "en"
    return "other" if other >= 0.3 * total else "mixed"


def form_of(answer: str) -> Form:
    """What an answer looks like."""
    begin = answer[:LOOKED_AT].strip()
    if begin[:1] in ("{", "[") and _is_json(answer):
        return "json"
    if "```" in begin:
        return "code"
    if "\n" not in begin:
        return "short" if len(begin) <= SHORT else "sentence"
    if "|" in begin and len(_TABLE_LINE.findall(begin)) >= 2:
        return "table"
    return "list" if len(_ITEM.findall(begin)) >= 2 else "paragraphs"


def _is_json(text: str) -> bool:
    try:
        msgspec.json.decode(text)
    except (ValueError, RecursionError):
        return False
    return True
