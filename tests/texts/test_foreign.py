"""The sanitiser of foreign text."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.texts.foreign import escaped_json, printable, printable_lines
from tests.hostile_text import HOSTILE, forbidden_in


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_harmless(text: str) -> None:
    """Nothing is left that a terminal obeys, and what was only written is still there."""
    shown = printable(text)
    assert not forbidden_in(shown, is_terminal=False)
    assert len(shown) == len(text)
    assert [char for char in text if char.isprintable()] == [new for old, new in zip(text, shown, strict=True) if old.isprintable()]


@given(st.text())
def test_any_text(text: str) -> None:
    """The same for whatever there may be; lines stay lines where they are wanted."""
    assert not forbidden_in(printable(text), is_terminal=False)
    assert "\n" not in printable(text)
    assert printable_lines(text).count("\n") == text.count("\n")
    assert not forbidden_in(printable_lines(text), is_terminal=False)


@given(st.dictionaries(st.text(), st.text()))
def test_json_says_the_same(value: dict[str, str]) -> None:
    """An escaped document is the same value and nothing that a terminal obeys."""
    document = json.dumps(value, ensure_ascii=False, indent=2)
    assert json.loads(escaped_json(document)) == value
    assert not forbidden_in(escaped_json(document), is_terminal=False)


def test_chinese_text_stays_as_it_is() -> None:
    """Punctuation, the wide space, rare characters and signs pass unchanged."""
    text = "限速　60 公里/小时，《条例》第七十六条——“䶮”𠮷①℃🚦"
    assert printable(text) == text
    assert escaped_json(json.dumps(text, ensure_ascii=False)) == json.dumps(text, ensure_ascii=False)
