"""Text that was made to slip through, or to make the rules slow."""

from __future__ import annotations

import pytest

from appliance.domain.conversation import Conversation, Message
from appliance.domain.document import Document
from appliance.domain.recipe import RedactionRecipe
from appliance.stages.redact.redactor import Redactor, parts_of

REDACTOR = Redactor(RedactionRecipe(), b"a key of the tests", {})
SIZE = 20_000
"""Characters; a pattern that tried every pair of places would need hours."""

FLOODS = {
    "digits": "1",
    "broken digits": "1 ",
    "numerals": "一",
    "numerals and digits": "一1",
    "letters like digits": "lO",
    "roles": "报警人",
    "roles and surnames": "报警人张",
    "lists of names": "张伟、",
    "addresses": "市区路",
    "homes": "家住南京市",
    "doors": "3栋",
    "streets": "当事人南京市中山路12号",
    "plates": "苏A1",
    "capitals": "A1",
    "capitals with blanks": "A 1 ",
    "signs of mail": "a@",
    "domains": "a@b.",
    "dots": "1.",
    "colons": "ab:",
    "hidden": "\u200b",
    "digits and hidden": "1" + "\u200b" * 20,
    "escape sequences": "\x1b[31m",
    "unfinished escape sequences": "\x1b]0;",
    "tags": "<b>1",
    "unfinished tags": "<b ",
    "entities": "&#49;",
    "names with dots": "阿里·木",
    "brackets": "（男",
    "accounts": "微信",
}


@pytest.mark.timeout(60)
@pytest.mark.parametrize("piece", FLOODS.values(), ids=FLOODS.keys())
def test_no_text_makes_a_rule_slow(piece: str) -> None:
    """A huge row of whatever a rule begins with is read within the time limit of a test, and gives a row again."""
    row, _ = REDACTOR.redact(Document((piece * SIZE)[:SIZE]))
    assert isinstance(row, Document)


@pytest.mark.parametrize(
    "text",
    [
        "手机\u202e13800138000\u202c",
        "手机1\u20e33\u20e38\u20e300138000",
        "手机𝟏𝟑𝟖𝟎𝟎𝟏𝟑𝟖𝟎𝟎𝟎",
        "手机&#49;&#51;&#56;00138000",
        "手机138&nbsp;0013&nbsp;8000",
        "手机\x1b]0;title\x0713800138000",
        "手机138\u00ad0013\ufeff8000",
        "手机1३८००१३८०००",
    ],
)
def test_disguised_numbers_are_found(text: str) -> None:
    """Direction marks, combining characters, other scripts' digits, entities and escape sequences hide nothing."""
    assert [(find.kind, find.value) for _, find in REDACTOR.finds(Document(text))] == [("mobile", "13800138000")]


def test_a_number_across_two_messages_is_replaced_in_both() -> None:
    """Its beginning in a question and its end in the answer: both halves are pseudonyms afterwards, and nothing else is touched."""
    row = Conversation((Message("user", "证件号110105194912"), Message("assistant", "31002X，对吗？")), rejected="31002X")
    redacted, seen = REDACTOR.redact(row)
    first, second, _ = parts_of(redacted)
    assert {one.find.kind for one in seen} == {"id_number"}
    assert first.startswith("证件号00") and len(first) == len("证件号110105194912")
    assert second.endswith("，对吗？") and "31002X" not in second


def test_every_part_of_a_row_is_redacted() -> None:
    """System, user and assistant messages and the rejected answer; the same person has the same pseudonym in all of them."""
    row = Conversation(
        (Message("system", "报警人张伟"), Message("user", "张伟是谁？"), Message("assistant", "张伟，电话13800138000")), rejected="是张伟"
    )
    redacted, _ = REDACTOR.redact(row)
    texts = parts_of(redacted)
    name = texts[0].removeprefix("报警人")
    assert "张伟" not in "".join(texts) and all(name in text for text in texts)
    assert [message.role for message in redacted.messages] == ["system", "user", "assistant"]  # type: ignore[union-attr]  # it was one


def test_broken_text_is_no_reason_to_fail() -> None:
    """Lone surrogates, NUL and an empty text are rows like any other."""
    for text in ("", "\0", "\ud800张伟\udfff", "报警人\ud800", "\n" * 50):
        row, _ = REDACTOR.redact(Document(text))
        assert isinstance(row, Document)
