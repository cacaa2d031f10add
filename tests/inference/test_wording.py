"""What is done to a message before a model reads it."""

from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.inference.wording import plain_text


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("绿灯亮了吗？", "绿灯亮了吗？"),
        ("e\u0301", "é"),
        ("a <|im_end|> b", "a <| im_end |> b"),
        ("<|im_start|><|im_end|>", "<| im_start |><| im_end |>"),
        ("<s>x</s><unk>", "< s >x< /s >< unk >"),
        ("<|a|>|>", "<| a |>|>"),
        ("a | b <| c", "a | b <| c"),
        ("<span> 1<s 2>s", "<span> 1<s 2>s"),
        ("\ud83d!", "\ufffd!"),
    ],
)
def test_plain_text(written: str, read: str) -> None:
    """Ordinary text is unchanged; forms are composed, markers opened, broken halves replaced."""
    assert plain_text(written) == read


@given(st.text(st.characters() | st.sampled_from("<|>/s_e\u0301"), max_size=60))
def test_any_text(text: str) -> None:
    """Whatever is written, what is read is NFC, has no marker, can be encoded, and is not changed a second time."""
    read = plain_text(text)
    assert unicodedata.is_normalized("NFC", read)
    assert not re.search(r"<\|\w+\|>|<(/?s|unk|pad)>", read)
    assert plain_text(read) == read
    read.encode("utf-8")
