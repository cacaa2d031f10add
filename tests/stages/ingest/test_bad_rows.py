"""Bad rows are listed with line and reason and stop nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from appliance.stages.ingest.refusal import MAX_ROW_BYTES
from appliance.texts.speech import LANGUAGES, Language, catalogue, say

Import = Callable[..., Any]

GOOD = b'{"instruction": "q", "output": "a"}'


def dumped(**row: object) -> bytes:
    """One line."""
    return json.dumps(row, ensure_ascii=False).encode()


ALPACA_ROWS: dict[str, tuple[bytes, str, dict[str, Any]]] = {
    "broken": (b'{"instruction": "q", "output": ', "row_not_json", {"byte": 31}),
    "two objects": (GOOD + GOOD, "row_not_json", {"byte": 37}),
    "not a number": (b'{"instruction": "q", "output": NaN}', "row_not_json", {"byte": 32}),
    "a list": (b"[1, 2]", "row_not_object", {"found": "array"}),
    "a number": (b"5", "row_not_object", {"found": "int"}),
    "question is a number": (dumped(instruction=5, output="a"), "row_field_wrong", {"field": "instruction"}),
    "history is wrong": (dumped(instruction="q", output="a", history=[["q"]]), "row_field_wrong", {"field": "history[0]"}),
    "no question": (dumped(output="a"), "row_without_question", {}),
    "blank question": (dumped(instruction=" \n", input="", output="a"), "row_without_question", {}),
    "no answer": (dumped(instruction="q"), "row_without_answer", {}),
    "empty answer": (dumped(instruction="q", output=""), "row_without_answer", {}),
    "blank answer": (dumped(instruction="q", output="\u3000\n"), "row_without_answer", {}),
    "null answer": (dumped(instruction="q", output=None), "row_without_answer", {}),
    "empty history": (dumped(instruction="q", output="a", history=[["q", ""]]), "row_turn_empty", {"turn": 2}),
    "bytes of no encoding": (b'{"instruction": "\xff\xfe", "output": "a"}', "row_encoding_broken", {}),
    "surrogate as UTF-8": (b'{"instruction": "\xed\xa0\x80", "output": "a"}', "row_encoding_broken", {}),
    "half a character": (rb'{"instruction": "\ud83d", "output": "a"}', "row_half_character", {}),
    "the other half": (rb'{"instruction": "x\ude00y", "output": "a"}', "row_half_character", {}),
    "NUL": (b'{"instruction": "q\x00", "output": "a"}', "row_control_bytes", {}),
    "escape sequence": (b'{"instruction": "\x1b[2J", "output": "a"}', "row_control_bytes", {}),
    "deep": (b'{"x": ' + b"[" * 200_000 + b"]" * 200_000 + b"}", "row_too_deep", {}),
    "deep and unclosed": (b'{"x": ' + b"[" * 200_000, "row_too_deep", {}),
    "2 MB": (dumped(instruction="q", output="长" * 700_000), "row_too_large", {"limit": MAX_ROW_BYTES}),
}


UNCLOSED = {"broken", "two objects", "deep and unclosed"}
"""In a list these are not one element."""


@pytest.mark.parametrize(
    ("kind", "container"),
    [(kind, container) for kind in ALPACA_ROWS for container in ("lines", "list") if (container, kind in UNCLOSED) != ("list", True)],
)
def test_bad_row_between_good_ones(import_bytes: Import, kind: str, container: str) -> None:
    """The rows before and after are accepted, the bad one is listed with its line, reason, and a short excerpt."""
    bad, reason, parameters = ALPACA_ROWS[kind]
    data = b"\n".join([GOOD, bad, GOOD]) if container == "lines" else b"[" + b",\n".join([GOOD, bad, GOOD]) + b"]"
    imported = import_bytes(data)
    assert len(imported.rows) == 2
    [rejected] = imported.rejected
    assert (rejected["line"], rejected["reason"]) == (2, reason)
    assert rejected["parameters"] == parameters
    assert 0 < len(rejected["excerpt"]) <= 200
    assert rejected["excerpt"].isprintable()
    assert rejected.get("element", 0) == (2 if container == "list" else 0)
    assert imported.facts["counts"] == {"read": 3, "accepted": 2, "rejected": 1, "rows": 2}
    assert imported.facts["reasons"] == {reason: 1}
    assert imported.notices["rows_rejected"]["rejected"] == 1


def chat(*turns: tuple[str, object]) -> bytes:
    """One line of messages."""
    return dumped(messages=[{"role": role, "content": content} for role, content in turns])


CHAT_ROWS: dict[str, tuple[bytes, str, dict[str, Any]]] = {
    "nothing said": (dumped(messages=[]), "row_without_question", {}),
    "system alone": (chat(("system", "s")), "row_without_question", {}),
    "unanswered": (chat(("user", "q")), "row_without_answer", {}),
    "unanswered at the end": (chat(("user", "q"), ("assistant", "a"), ("user", "q")), "row_without_answer", {}),
    "empty answer": (chat(("user", "q"), ("assistant", "")), "row_without_answer", {}),
    "empty question": (chat(("user", " "), ("assistant", "a")), "row_without_question", {}),
    "answer first": (chat(("assistant", "a"), ("user", "q")), "row_turns_mixed", {"turn": 1, "role": "assistant"}),
    "asked twice": (chat(("user", "q"), ("user", "q"), ("assistant", "a")), "row_turns_mixed", {"turn": 2, "role": "user"}),
    "late system": (chat(("user", "q"), ("system", "s"), ("assistant", "a")), "row_turns_mixed", {"turn": 2, "role": "system"}),
    "counted with system": (chat(("system", "s"), ("user", "q"), ("user", "q")), "row_turns_mixed", {"turn": 3, "role": "user"}),
    "tool": (chat(("user", "q"), ("tool", "t"), ("assistant", "a")), "row_role_unknown", {"role": "tool"}),
    "role with an escape": (chat(("user\x1b", "q")), "row_role_unknown", {"role": "user\\x1b"}),
    "call without content": (chat(("user", "q"), ("assistant", None)), "row_without_answer", {}),
    "picture": (chat(("user", [{"type": "image_url", "image_url": {}}]), ("assistant", "a")), "row_not_text", {"kind": "image_url"}),
    "weight": (
        dumped(messages=[{"role": "user", "content": "q"}, {"role": "assistant", "content": "a", "weight": 0}]),
        "row_answer_without_weight",
        {},
    ),
    "content is a number": (chat(("user", 5), ("assistant", "a")), "row_field_wrong", {"field": "messages[0].content"}),
    "no messages": (GOOD, "row_field_missing", {"field": "messages"}),
    "no role": (dumped(messages=[{"content": "q"}]), "row_field_missing", {"field": "messages[0].role"}),
}


@pytest.mark.parametrize("kind", CHAT_ROWS)
def test_bad_conversation(import_bytes: Import, kind: str) -> None:
    """Turns that do not alternate, are empty, or are no text are refused; nothing is cut or repaired."""
    bad, reason, parameters = CHAT_ROWS[kind]
    good = chat(("user", "q"), ("assistant", "a"))
    imported = import_bytes(b"\n".join([good, good, bad]))
    assert imported.reasons == [(3, reason)]
    assert imported.rejected[0]["parameters"] == parameters


TABLE_ROWS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "too few fields": ("甲", "row_fields_uneven", {"found": 1, "expected": 2}),
    "too many fields": ("甲,乙,丙", "row_fields_uneven", {"found": 3, "expected": 2}),
    "no answer": ("甲,", "row_without_answer", {}),
    "no question": (",乙", "row_without_question", {}),
    "stray quote": ('"甲"乙,丙', "row_quotes_broken", {"lines": 1}),
    "too large": ("甲," + "长" * 400_000, "row_too_large", {"limit": MAX_ROW_BYTES}),
}


@pytest.mark.parametrize("kind", TABLE_ROWS)
def test_bad_record_of_a_table(import_bytes: Import, kind: str) -> None:
    """A bad record is listed with the line it begins on; the records around it are accepted."""
    bad, reason, parameters = TABLE_ROWS[kind]
    imported = import_bytes(f"问题,回答\n问,答\n{bad}\n问,答\n".encode(), name="a.csv")
    assert len(imported.rows) == 2
    assert imported.reasons == [(3, reason)]
    assert imported.rejected[0]["parameters"] == parameters


def test_unclosed_quote_is_bounded(import_bytes: Import) -> None:
    """A quote that is never closed costs the records up to the row limit, says how many lines, and reading goes on behind them."""
    lines = [f"问{'长' * 50},答"] * 20_000
    imported = import_bytes(("问题,回答\n问,答\n" + '"问,答\n' + "\n".join(lines) + "\n").encode(), name="a.csv")
    assert imported.reasons == [(3, "row_too_large")]
    assert 10_000 < len(imported.rows) < 15_000


def test_broken_bytes_in_a_table(import_bytes: Import) -> None:
    """A record with bytes of another encoding is rejected; no replacement character appears anywhere."""
    data = "问题,回答\n问,答\n".encode() * 5 + "车辆,行人\n".encode("gb18030") + "问,答\n".encode()
    imported = import_bytes(data, name="a.csv")
    assert imported.reasons == [(11, "row_encoding_broken")]
    assert "\ufffd" not in str(imported.rows) + str(imported.rejected)


LISTS = {
    "cut inside a row": (b"[" + GOOD + b",\n" + GOOD[:20], [(2, "row_cut_off")]),
    "cut inside an escape": (b"[" + GOOD + b',\n{"instruction": "\\', [(2, "row_cut_off")]),
    "cut behind a comma": (b"[" + GOOD + b",\n", [(2, "row_cut_off")]),
    "never closed": (b"[" + GOOD, [(1, "row_cut_off")]),
    "continued": (b"[" + GOOD + b"]\n[" + GOOD + b"]", [(2, "row_after_list")]),
    "bare words": (
        b"[" + GOOD + b', none, 5, "a, [b", ' + GOOD + b"]",
        [(1, "row_not_json"), (1, "row_not_object"), (1, "row_not_object")],
    ),
    "stray closing brace": (b"[" + GOOD + b",\n}," + GOOD + b"]", [(2, "row_not_json")]),
    "trailing comma": (b"[" + GOOD + b",]", []),
}


@pytest.mark.parametrize("kind", LISTS)
def test_damaged_lists(import_bytes: Import, kind: str) -> None:
    """A list that is cut off or damaged gives the rows that are whole, and lists the rest."""
    data, reasons = LISTS[kind]
    imported = import_bytes(data, name="a.json")
    assert imported.reasons == reasons
    assert len(imported.rows) >= 1


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_reason_has_words(language: Language) -> None:
    """Each reason of the tables above is a sentence without gaps left open."""
    told: list[tuple[bytes | str, str, dict[str, Any]]] = [*ALPACA_ROWS.values(), *CHAT_ROWS.values(), *TABLE_ROWS.values()]
    for _, reason, parameters in told:
        assert reason in catalogue(language)["problems"]
        assert "{" not in say("problems", reason, language, **parameters)
    for _, reasons in LISTS.values():
        assert all(reason in catalogue(language)["problems"] for _, reason in reasons)
