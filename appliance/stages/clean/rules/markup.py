"""HTML: a text becomes what a reader of the page would have seen.

Tags that pages are made of go, blocks become lines, comments, scripts and styles go with their contents, entities become characters. What
only looks like a tag stays: ``<车牌>``, ``x < 3``, and tags whose attributes have no value.
"""

from __future__ import annotations

import html
import re

from appliance.domain.row import Row
from appliance.domain.spec import CleanSpec
from appliance.stages.clean.rules.rule import Apply, Dropped, with_texts

_BLOCKS = frozenset(
    (
        "article", "blockquote", "body", "br", "center", "dd", "div", "dl", "dt", "figcaption", "figure", "footer", "form", "h1", "h2",
        "h3", "h4", "h5", "h6", "head", "header", "hr", "html", "li", "nav", "ol", "option", "p", "pre", "section", "table", "tbody",
        "tfoot", "thead", "title", "tr", "ul",
    )
)  # fmt: skip
_CELLS = frozenset(("td", "th"))
_SILENT = frozenset(("script", "style", "iframe", "noscript", "svg"))
_INLINE = frozenset(
    (
        "a", "abbr", "b", "button", "code", "em", "font", "i", "img", "input", "link", "meta", "small", "span", "strong", "sub", "sup", "u",
    )
)  # fmt: skip

_NAMES = "|".join(sorted(_BLOCKS | _CELLS | _SILENT | _INLINE, key=len, reverse=True))
_VALUE = r"""(?:"[^"<>]*"|'[^'<>]*'|[^\s"'<>=]+)"""
_TOKEN = re.compile(rf"""<!--|-->|<!doctype[^<>]*>|<(/?)({_NAMES})((?>\s+[a-z:_-]+\s*=\s*{_VALUE})*)\s*/?>""", re.IGNORECASE)
_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
_ROUNDS = 3
"""Entities may hide entities and tags, but not without end."""


def readable(text: str) -> str:
    """The text without its markup; very same when it has none."""
    if "<" not in text and "&" not in text:
        return text
    for _ in range(_ROUNDS):
        plain = _ENTITY.sub(lambda found: html.unescape(found.group()), _without_tags(text))
        if plain == text:
            break
        text = plain
    return text


def make(spec: CleanSpec) -> Apply | None:
    """Make every text readable; a row with a turn of which nothing is left is dropped."""
    return _apply if spec.recipe.markup else None


def _apply(row: Row) -> Row | Dropped:
    return with_texts(row, readable, "row_only_markup")


def _without_tags(text: str) -> str:
    tokens = list(_TOKEN.finditer(text))
    if not tokens:
        return text
    last_end = {_closes(token): number for number, token in enumerate(tokens)}
    pieces: list[str] = []
    place, hidden = 0, ""
    for number, token in enumerate(tokens):
        if hidden:
            if _closes(token) == hidden:
                place, hidden = token.end(), ""
            continue
        pieces.append(text[place : token.start()])
        place = token.end()
        closing, name = token.group(1), (token.group(2) or "").lower()
        opened = "-->" if token.group() == "<!--" else name if name in _SILENT and not closing else ""
        if opened and last_end.get(opened, -1) > number:
            hidden = opened
        elif token.group() == "-->":
            pieces.append("-->")
        else:
            pieces.append("\n" if name in _BLOCKS else " " if name in _CELLS else "")
    return "".join([*pieces, text[place:]])


def _closes(token: re.Match[str]) -> str:
    """What hidden part this token ends."""
    if token.group() == "-->":
        return "-->"
    return token.group(2).lower() if token.group(1) else ""
