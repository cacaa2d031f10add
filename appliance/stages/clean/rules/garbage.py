"""Texts that a broken program has left: mojibake, replacement characters, strings of symbols."""

from __future__ import annotations

import re

from appliance.domain.row import Row, texts_of
from appliance.domain.spec import CleanSpec
from appliance.stages.clean.rules.rule import Apply, Dropped

_MOJIBAKE = ("锟斤拷", "烫烫烫", "屯屯屯", "\ufffd\ufffd\ufffd", "ï»¿", "â€™", "ã€‚")
"""What wrong decoders make of UTF-8 and of uninitialised memory; no text has these by intention."""
_WORDS = re.compile(r"[^\W_]+")
_NO_WORDS = bytes(code for code in range(256) if not (chr(code).isalnum() and code < 128) and not 0xE4 <= code <= 0xE9)
"""Bytes of UTF-8 but ASCII letters, digits and those that begin the usual Chinese characters: without them the length counts words."""
_SHORT = 20
"""Characters; a text with fewer may be ``???`` or ``……`` on purpose."""


def make(spec: CleanSpec) -> Apply | None:
    """Drop a row with mojibake in it, or with a text that is mostly symbols."""
    most = spec.recipe.max_symbol_share
    if most >= 1.0:
        return None

    def apply(row: Row) -> Row | Dropped:
        for text in texts_of(row):
            if not text.isascii():
                for pattern in _MOJIBAKE:
                    if pattern in text:
                        return Dropped("row_mojibake", {"found": pattern})
            if len(text) >= _SHORT:
                if len(text.encode("utf-8", "surrogatepass").translate(None, _NO_WORDS)) >= (1.0 - most) * len(text):
                    continue
                wordless = len(text) - len("".join(_WORDS.findall(text)))
                if wordless > most * len(text) and (symbols := wordless - sum(map(str.isspace, text))) > most * len(text):
                    return Dropped("row_symbols", {"share": round(symbols / len(text), 3), "limit": most})
        return row

    return apply
