"""Foreign text as the rules read it: one character for one, so that every place in it is a place in the text itself.

Full-width, mathematical and foreign digits become ASCII digits, full-width and look-alike letters Latin ones. What nobody sees (zero-width
and direction marks, combining marks, control characters, terminal escape sequences, inline tags) becomes ``HIDDEN``, which numbers are read
across. Circled digits stay: they number lists.
"""

from __future__ import annotations

import html
import re
import unicodedata

HIDDEN = "\0"
"""Stands for a character that nobody sees."""

_USUAL = "\n\t -%'-;=?-~\u4e00-\u9fff\u3001-\u301e，！（）：；？～“”‘’—…·￥°"
"""Without ``&`` and ``<``, which may begin an entity or a tag."""
_UNUSUAL = re.compile(f"[^{_USUAL}]")
_ESCAPE_SEQUENCE = re.compile(r"\x1b(?:\[[0-?]{0,64}[ -/]{0,16}[@-~]|\][^\x07\x1b]{0,1024}(?:\x07|\x1b\\))")
_INLINE_TAG = re.compile(r"</?(?:a|b|big|em|font|i|mark|s|small|span|strong|sub|sup|u|wbr)\b[^<>]{0,200}>", re.IGNORECASE)
_ENTITY = re.compile(r"&(?:nbsp|ensp|emsp|thinsp|zwnj|zwj|shy|#\d{1,7}|#[xX][0-9a-fA-F]{1,6});")
_KEPT_WIDE = "，！（）：；？～"
_LOOKALIKES = dict(zip("АВЕЗКМНОРСТУХЅІЈабеорсухіѕјΑΒΕΖΗΙΚΜΝΟΡΤΥΧο", "ABE3KMHOPCTYXSIJa6eopcyxisjABEZHIKMNOPTYXo", strict=True))
_FILLERS = "\u115f\u1160\u17b4\u17b5\u3164\uffa0\u2800"


class _Fold(dict[int, str]):
    """``str.translate``'s table, which works a character out when it is first asked for."""

    def __missing__(self, code: int) -> str:
        self[code] = folded = _fold(chr(code))
        return folded


def folded(text: str) -> str:
    """The text as rules read it, as long as the text itself."""
    if not _UNUSUAL.search(text):
        return text
    if "\x1b" in text:
        text = _ESCAPE_SEQUENCE.sub(_hidden, text)
    if "<" in text:
        text = _INLINE_TAG.sub(_hidden, text)
    if "&" in text:
        text = _ENTITY.sub(_entity, text)
    return text.translate(_TABLE)


def _hidden(match: re.Match[str]) -> str:
    return HIDDEN * len(match[0])


def _entity(match: re.Match[str]) -> str:
    meant = html.unescape(match[0])
    return meant.ljust(len(match[0]), HIDDEN) if len(meant) == 1 else match[0]


def _fold(char: str) -> str:
    if char in "\n\t" or " " <= char <= "~" or "\u4e00" <= char <= "\u9fff" or char in _KEPT_WIDE:
        return char
    category = unicodedata.category(char)
    if category == "Nd":
        return str(unicodedata.digit(char))
    if category in ("Mn", "Me", "Cf", "Cc", "Cn", "Co", "Cs") or char in _FILLERS:
        return HIDDEN
    if category == "Zs":
        return " "
    if category in ("Zl", "Zp"):
        return "\n"
    if char in _LOOKALIKES:
        return _LOOKALIKES[char]
    plain = unicodedata.normalize("NFKC", char)
    return plain if len(plain) == 1 and category != "No" else char


_TABLE = _Fold()
