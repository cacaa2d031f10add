"""Cleaning leaves nothing out without a record, reports what every rule did, and gives the same bytes again."""

from __future__ import annotations

import errno
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.domain.conversation import Conversation, Message
from appliance.domain.errors import ApplianceError, ExitCode
from appliance.domain.event import Event, Notice, Produced, Progress, Started
from appliance.domain.spec import CleanSpec
from appliance.files.lines import LineWriter
from appliance.stages import clean
from appliance.texts.speech import LANGUAGES, catalogue, explain, say

Clean = Callable[..., Any]


def row(question: str, answer: str, source: str = "", system: str | None = None) -> Conversation:
    """A conversation of one question and one answer."""
    before = () if system is None else (Message("system", system),)
    return Conversation((*before, Message("user", question), Message("assistant", answer)), source)


ROWS = [
    row("限速是多少？", "６０ 公里", "a.csv:2"),
    row("限速是多少？", "60 公里", "a.csv:3"),
    row("可以掉头吗？", "不可以。", "a.csv:4"),
    row("可以停车吗？", "否", "a.csv:5"),
    row("什么是绿波？", "长" * 200, "a.csv:6"),
    row("\u200b", "答", "a.csv:7"),
]
TEXT = "".join(map(chr, range(0x4E00, 0x4E00 + 350)))
SWITCHED_OFF = {
    **dict.fromkeys(("markup", "invisible", "normalise", "boilerplate", "exact_duplicates"), False),
    **dict.fromkeys(("max_other_share", "max_repeated_share", "max_symbol_share"), 1.0),
    "contradictions": "off",
}
RECIPE = {"min_answer_chars": 2, "max_chars": 100}


def test_report_of_every_rule(clean_rows: Clean) -> None:
    """Counts, reasons and examples say what each rule changed and dropped, and they add up."""
    cleaned = clean_rows(ROWS, **RECIPE)
    assert cleaned.answers == ["60 公里", "不可以。"]
    facts = cleaned.artifact.facts
    assert facts["counts"] == {"read": 6, "rows": 2, "dropped": 4, "changed": 1}
    did = {name: (done["changed"], done["dropped"]) for name, done in facts["rules"].items()}
    assert {name: counts for name, counts in did.items() if counts != (0, 0)} == {
        "invisible": (0, 1),
        "normalise": (1, 0),
        "length": (0, 2),
        "exact_duplicates": (0, 1),
    }
    assert facts["rules"]["normalise"]["examples"] == [
        {"line": 1, "source": "a.csv:2", "before": "限速是多少？\\n６０ 公里", "after": "限速是多少？\\n60 公里"},
    ]
    assert facts["rules"]["invisible"]["examples"] == [
        {"line": 6, "source": "a.csv:7", "reason": "row_nothing_visible", "excerpt": "答"},
    ]
    assert facts["reasons"] == {"row_nothing_visible": 1, "row_answer_short": 1, "row_long": 1, "row_duplicate": 1}


def test_every_dropped_row_is_on_record(clean_rows: Clean) -> None:
    """The record names line, origin, reason and parameters of each row that was left out, in words of both languages."""
    records = clean_rows(ROWS, **RECIPE).rejected
    assert [(record["line"], record["source"], record["reason"], record["parameters"]) for record in records] == [
        (2, "a.csv:3", "row_duplicate", {"first_line": 1}),
        (4, "a.csv:5", "row_answer_short", {"chars": 1, "limit": 2}),
        (5, "a.csv:6", "row_long", {"chars": 206, "limit": 100}),
        (6, "a.csv:7", "row_nothing_visible", {"role": "user"}),
    ]
    for record in records:
        assert record["excerpt"].isprintable() and len(record["excerpt"]) <= 200
        for language in LANGUAGES:
            assert record["reason"] in catalogue(language)["problems"]
            assert "{" not in say("problems", record["reason"], language, **record["parameters"])


def test_rules_can_be_switched_off(clean_rows: Clean) -> None:
    """Without normalising and duplicate removal the rows stay as they are, and the report has no such rules."""
    cleaned = clean_rows(ROWS, **SWITCHED_OFF, max_chars=1000)
    assert cleaned.answers == [one.messages[-1].content for one in ROWS]
    assert list(cleaned.artifact.facts["rules"]) == ["length"]


def test_empty_system_turn_is_left_out(clean_rows: Clean) -> None:
    """A system turn of invisible characters goes; the row stays."""
    assert [len(one["messages"]) for one in clean_rows([row("q", "a", system="\ufeff ")]).rows] == [2]


def test_source_goes_with_the_row(clean_rows: Clean) -> None:
    """A row that was changed still says where it came from."""
    assert [one["source"] for one in clean_rows(ROWS, **RECIPE).rows] == ["a.csv:2", "a.csv:4"]


def test_same_rows_same_bytes(clean_rows: Clean) -> None:
    """The same rows and recipe give the same files, and cleaning what is clean changes nothing."""
    first, again = clean_rows(ROWS, **RECIPE), clean_rows(ROWS, **RECIPE)
    for name in ("rows.jsonl", "rejected.jsonl"):
        assert (first.folder / name).read_bytes() == (again.folder / name).read_bytes()
    rows = [Conversation(tuple(Message(**message) for message in one["messages"]), one["source"]) for one in first.rows]
    twice = clean_rows(rows, **RECIPE)
    assert (twice.folder / "rows.jsonl").read_bytes() == (first.folder / "rows.jsonl").read_bytes()
    assert twice.artifact.facts["counts"] == {"read": 2, "rows": 2, "dropped": 0, "changed": 0}


def test_record_of_the_result(clean_rows: Clean) -> None:
    """Checksum and size are those of the rows; a notice sums up."""
    cleaned = clean_rows(ROWS, **RECIPE)
    data = (cleaned.folder / "rows.jsonl").read_bytes()
    assert (cleaned.artifact.role, cleaned.artifact.sha256) == ("dataset", hashlib.sha256(data).hexdigest())
    assert cleaned.artifact.size == len(data)
    assert Notice("info", "rows_dropped", cleaned.artifact.facts["counts"]) in cleaned.events
    assert isinstance(cleaned.events[-1], Produced)


def test_examples_are_few(clean_rows: Clean) -> None:
    """However many rows a rule drops, five examples are kept."""
    facts = clean_rows([row("q", "a")] * 50).artifact.facts
    assert facts["rules"]["exact_duplicates"]["dropped"] == 49
    assert len(facts["rules"]["exact_duplicates"]["examples"]) == 5


def test_progress(clean_rows: Clean) -> None:
    """Progress counts bytes of the parent's rows."""
    events: list[Event] = clean_rows([row(f"q{number}", TEXT) for number in range(5000)]).events
    started = next(event for event in events if isinstance(event, Started))
    done = [event.done for event in events if isinstance(event, Progress)]
    assert (started.unit, started.what) == ("bytes", "clean")
    assert len(done) >= 3 and done == sorted(done) and started.total is not None and done[-1] <= started.total


def test_nothing_left_is_an_error(clean_rows: Clean, tmp_path: Path) -> None:
    """When every row is dropped the error says why most of them were, and no dataset is left behind."""
    with pytest.raises(ApplianceError) as caught:
        clean_rows(ROWS, min_answer_chars=1000)
    assert caught.value.code == "nothing_left"
    assert caught.value.parameters["problems"] == [{"code": "row_answer_short", "chars": 5, "limit": 1000}]
    assert "fewer than 1000" in explain(caught.value, "en")[0]
    assert [path.name for path in (tmp_path / "0").iterdir()] == ["rows.jsonl"]


def test_damaged_or_missing_rows(tmp_path: Path) -> None:
    """Rows that are not ours any more end the stage: which file, which line."""
    rows, output = tmp_path / "rows.jsonl", tmp_path / "dataset"
    spec = CleanSpec(rows=str(rows), output=str(output))
    for data, code in (
        (None, "rows_missing"),
        (b"", "rows_empty"),
        (b'{"messages": []}\n{\n', "rows_damaged"),
        (b'{"x": "\xff"}', "rows_damaged"),
    ):
        if data is not None:
            rows.write_bytes(data)
        with pytest.raises(ApplianceError) as caught:
            clean.run(spec, list[Event]().append)
        assert caught.value.code == code
        assert sorted(path.name for path in tmp_path.iterdir()) == (["rows.jsonl"] if data is not None else [])
        for language in LANGUAGES:
            assert "{" not in "".join(explain(caught.value, language))


def test_full_disk_is_named(clean_rows: Clean, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No space left while writing: exit code 4, and no partial folder."""

    def full(_writer: LineWriter) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(LineWriter, "_flush", full)
    with pytest.raises(ApplianceError) as caught:
        clean_rows(ROWS)
    assert (caught.value.code, caught.value.exit_code) == ("disk_full", ExitCode.NO_ROOM)
    assert [path.name for path in (tmp_path / "0").iterdir()] == ["rows.jsonl"]


TEXTS = st.text("a，Ａ\u200b \n\x00长", min_size=1, max_size=12)


@given(st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=12))
def test_nothing_is_lost(tmp_path_factory: pytest.TempPathFactory, pairs: list[tuple[str, str]]) -> None:
    """Rows left and rows on record together are all rows, each exactly once; no two rows that are left say the same."""
    folder = tmp_path_factory.mktemp("any")
    rows = [row("问", "一定留下", "f:0")] + [row(question, answer, f"f:{number}") for number, (question, answer) in enumerate(pairs, 1)]
    (folder / "rows.jsonl").write_text("".join(json.dumps(_plain(one)) + "\n" for one in rows))
    clean.run(CleanSpec(rows=str(folder / "rows.jsonl"), output=str(folder / "out")), list[Event]().append)
    left, out = (
        [json.loads(line) for line in (folder / "out" / name).read_bytes().splitlines()] for name in ("rows.jsonl", "rejected.jsonl")
    )
    assert sorted(one["source"] for one in left + out) == sorted(one.source for one in rows)
    said = [tuple(message["content"] for message in one["messages"]) for one in left]
    assert len(set(said)) == len(said)


def _plain(one: Conversation) -> dict[str, Any]:
    return {"messages": [{"role": message.role, "content": message.content} for message in one.messages], "source": one.source}
