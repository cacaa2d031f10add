"""Descriptions of datasets against counting by hand, and against what training tokenizes."""

from __future__ import annotations

import statistics
import tracemalloc
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.domain.conversation import Conversation, Message
from appliance.domain.description import Description
from appliance.domain.document import Document
from appliance.domain.errors import ApplianceError
from appliance.domain.event import Event, Produced
from appliance.domain.quality import quality_card
from appliance.domain.row import Row, row_to_json
from appliance.domain.spec import DescribeSpec
from appliance.stages import describe
from appliance.stages.describe.counting import CommonValues, DistinctTexts, LengthCounts
from appliance.stages.describe.writing import form_of, language_of
from appliance.stages.language_model.tokenized_rows import tokenize_rows
from appliance.stages.language_model.tokenizer import load_tokenizer
from tests.stages.export.tiny_base import write_tokenizer
from tests.stages.language_model.tiny import conversation, facts


def described(folder: Path, rows: list[Row], **choices: Any) -> Description:
    """The description of these rows."""
    place = folder / "rows.jsonl"
    place.write_bytes(b"".join(row_to_json(row) + b"\n" for row in rows))
    events: list[Event] = []
    describe.run(DescribeSpec(rows=str(place), output=str(folder / "description.json"), **choices), events.append)
    assert [event.artifact.role for event in events if isinstance(event, Produced)] == ["description"]
    return msgspec.json.decode((folder / "description.json").read_bytes(), type=Description)


def test_every_count(tmp_path: Path) -> None:
    """Kinds, turns, languages, forms, questions and answers of a few rows that can be counted by eye."""
    rows: list[Row] = [
        conversation("限速是多少？", "60 公里。"),
        conversation("限速是 多少？", "六十。", system="你是民警。"),
        conversation("What is the limit?", "It is sixty kilometres per hour.", "Why?", "Because of the school."),
        conversation("请翻译成英文：限速六十公里", "The limit is sixty kilometres per hour."),
        conversation("列出步骤", "步骤如下：\n1. 停车\n2. 报警\n3. 等待"),
        conversation("抽取", '{"路口": "人民路"}'),
        Conversation((Message("user", "哪个好？"), Message("assistant", "您好，请慢行。")), rejected="走开"),
        Document("交叉口信号相位与绿波带。"),
    ]
    found = described(tmp_path, rows)
    assert (found.measure, found.rows, found.trained_tokens) == ("characters", 8, 0)
    assert found.kinds == {"conversations": 6, "preferences": 1, "documents": 1}
    assert found.turns == {"1": 6, "2": 1}
    assert found.with_system == 1
    assert found.languages == {"zh": 6, "en": 1, "mixed": 1}
    assert found.language_changes == 1
    assert found.forms == {"short": 3, "sentence": 2, "list": 1, "json": 1}
    assert found.distinct_questions == 6  # white space makes no difference
    assert found.distinct_answers == 7
    assert (found.commonest_opening, found.commonest_opening_rows) == ("限速是多少？", 1)
    lengths = [sum(len(message.content) for message in row.messages) if isinstance(row, Conversation) else len(row.text) for row in rows]
    assert (found.lengths.total, found.lengths.longest) == (sum(lengths), max(lengths))


def test_classes_are_counted(tmp_path: Path) -> None:
    """Labels of conversations and documents, the commonest first; a label with a thousand values shows fifty."""
    said = (Message("user", "问"), Message("assistant", "答"))
    rows: list[Row] = [
        Conversation(said, labels={"task": "summary" if number % 3 else "extract", "id": f"{number}"}) for number in range(999)
    ]
    found = described(tmp_path, [*rows, Conversation(said), Document("文", labels={"task": "text"})]).labels
    assert (found["task"].rows, found["task"].values, found["task"].others) == (1000, {"summary": 666, "extract": 333, "text": 1}, 0)
    assert (found["id"].rows, len(found["id"].values), found["id"].others) == (999, 50, 949)


@pytest.mark.parametrize("family", ["qwen2", "llama"])
def test_tokens_are_those_of_training(tmp_path: Path, family: str) -> None:
    """With a base, lengths and trained tokens are what the trainer's own arrays say."""
    base = tmp_path / "base"
    base.mkdir()
    write_tokenizer(base, family)
    found = described(tmp_path, [*facts(300)], base=str(base))
    rows = tokenize_rows(tmp_path / "rows.jsonl", load_tokenizer(base), 100_000, lambda _event: None)
    lengths = rows.lengths().tolist()
    assert (found.measure, found.lengths.total, found.trained_tokens) == ("tokens", rows.tokens, rows.trained_tokens)
    assert (found.lengths.longest, found.untrained_rows) == (max(lengths), 0)
    assert found.lengths.median == statistics.median_low(lengths)
    assert sum(count for _, count in found.lengths.histogram) == 300


def test_many_processes_count_as_one_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Divided among processes, rows of all kinds give the same description; a damaged line is named by its number."""
    rows: list[Row] = [*facts(2000), *(Document(f"第{number}篇", labels={"n": str(number % 7)}) for number in range(400)), *facts(500)]
    alone = described(tmp_path, rows)
    monkeypatch.setattr(describe, "SMALL", 0)
    assert msgspec.structs.replace(described(tmp_path, rows), seconds=0.0) == msgspec.structs.replace(alone, seconds=0.0)
    with (tmp_path / "rows.jsonl").open("ab") as file:
        file.write(b"{broken\n")
    with pytest.raises(ApplianceError, match="rows_damaged") as refused:
        describe.run(DescribeSpec(rows=str(tmp_path / "rows.jsonl"), output=str(tmp_path / "again.json")), lambda _event: None)
    assert refused.value.parameters["line"] == 2901


@given(st.lists(st.integers(0, 70_000), min_size=1, max_size=200))
def test_lengths_are_exact_below_the_bound(lengths: list[int]) -> None:
    """Total, percentiles, bars and rows beyond a limit agree with sorting."""
    counts = LengthCounts()
    for length in lengths:
        counts.add(length)
    found, ordered = counts.lengths(), sorted(lengths)
    assert (found.total, found.longest) == (sum(lengths), ordered[-1])
    assert abs(found.median - statistics.median_low(ordered)) <= 0.01 * ordered[-1]
    assert sum(rows for _, rows in found.histogram) == len(lengths)
    assert [end for end, _ in found.histogram] == sorted(end for end, _ in found.histogram)
    assert dict(found.beyond)[1024] == sum(length > 1024 for length in lengths)


def test_counting_stays_small() -> None:
    """A million different values and lengths take a few megabytes; what is common is still found."""
    values, counts, texts = CommonValues(), LengthCounts(), DistinctTexts()
    tracemalloc.start()
    for number in range(70_000):
        values.add(f"once {number}" if number % 4 else "often")
        counts.add(number * 1000)
        texts.add(str(number % 5000))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert values.commonest() == ("often", 17_500)
    assert texts.count() == 5000
    assert peak < 25_000_000


LANGUAGES = {
    "zh": ("限速60公里", "京A12345 在人民路违停", "使用 GPS 定位车辆位置并上报"),
    "en": ("The limit is 60 km/h.", "Call the police at 北京 now, please, it is urgent"),
    "mixed": ("please 请 call 拨打", "信号 signal 相位 phase"),
    "other": ("Привет как дела", "안녕하세요 반갑습니다"),
    "none": ("", "12345 …!?", "🚦🚦"),
}


@pytest.mark.parametrize("language", LANGUAGES)
def test_languages(language: str) -> None:
    """Texts as they occur, names and numbers in them."""
    assert {language_of(text) for text in LANGUAGES[language]} == {language}


def test_forms() -> None:
    """Each form by an example, and what only looks like one."""
    assert form_of("| a | b |\n| 1 | 2 |") == "table"
    assert form_of("```python\nx\n```") == "code"
    assert form_of("一、停车\n二、报警") == "list"
    assert form_of("第一段。\n第二段。") == "paragraphs"
    assert form_of("{不是 JSON}") == "short"
    assert form_of("[" * 100_000) == "sentence"


def test_the_card_tells_a_poor_dataset_from_a_good_one(tmp_path: Path) -> None:
    """Few rows that all ask the same in two languages are not praised; many different ones are."""
    poor = {grade.name: grade.verdict for grade in quality_card(described(tmp_path, [conversation("限速？", "It is sixty, sir.")] * 20))}
    assert poor == {"rows": "poor", "diversity": "poor", "format": "good", "length": "good", "language": "poor"}
    rows: list[Row] = [
        conversation(f"{number * 7919 % 5000}号路口限速多少？", f"{number % 9}0 公里每小时，请慢行，注意安全。") for number in range(1200)
    ]
    good = {grade.name: grade.verdict for grade in quality_card(described(tmp_path, rows))}
    assert good == {"rows": "good", "diversity": "attention", "format": "good", "length": "good", "language": "good"}


def test_bad_rows_are_named(tmp_path: Path) -> None:
    """A damaged line, an empty file and no file at all; nothing is left behind."""
    place = tmp_path / "rows.jsonl"
    for content, code in ((b'{"messages": 1}\n', "rows_damaged"), (b"", "rows_empty"), (None, "rows_missing")):
        place.unlink(missing_ok=True)
        if content is not None:
            place.write_bytes(content)
        with pytest.raises(ApplianceError, match=code):
            describe.run(DescribeSpec(rows=str(place), output=str(tmp_path / "out.json")), lambda _event: None)
    assert not list(tmp_path.glob("out*"))
