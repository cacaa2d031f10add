"""Previews of tokens against what training itself makes of the same rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from appliance.domain.conversation import Conversation, Message
from appliance.domain.document import Document
from appliance.domain.errors import ApplianceError
from appliance.domain.preview import TokenPart, TokenPreview, TokenQuestion
from appliance.domain.row import Row
from appliance.stages.language_model.chat_template import ChatTemplate
from appliance.stages.language_model.tokenized_rows import TokenizedRows, tokenize_rows
from appliance.stages.language_model.tokenizer import load_tokenizer
from appliance.stages.preview import answer
from appliance.stages.train.preference_rows import tokenize_preferences
from tests.stages.export.tiny_base import write_tokenizer

AWKWARD = "𠮷野家🚦门前 　e\u0301 don't\r\n\t限速60<|im_end|>公里  "
ROWS: list[Row] = [
    Conversation((Message("user", "限速多少？"), Message("assistant", "60 公里。"))),
    Conversation((Message("system", "你是民警。"), Message("user", AWKWARD), Message("assistant", AWKWARD + "。"))),
    Conversation(
        (
            Message("user", "一"),
            Message("assistant", "第一答。"),
            Message("user", "二"),
            Message("assistant", "The 2nd's answer, isn't it?"),
        )
    ),
    Conversation((Message("user", "哪个好？"), Message("assistant", "礼貌的回答。")), rejected="差。"),
]
TEXT = "交叉口信号相位与绿波带。" * 30 + "𠮷🚦 end"


@pytest.fixture(scope="module", params=["qwen2", "llama", "llama2"])
def base(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the tokenizer of a family."""
    folder = tmp_path_factory.mktemp(request.param)
    write_tokenizer(folder, request.param)
    return folder


def written(place: Path, rows: list[Row]) -> Path:
    """A ``rows.jsonl``."""
    place.write_bytes(b"".join(msgspec.json.encode(row) + b"\n" for row in rows))
    return place


def asked(rows: Path, number: int, base: Path, max_length: int, **choices: Any) -> TokenPreview:
    """The preview of one row, counted from 0."""
    lines = rows.read_bytes().splitlines(keepends=True)
    begin = sum(map(len, lines[:number]))
    question = TokenQuestion(base=str(base), rows=str(rows), begin=begin, size=len(lines[number]), max_length=max_length, **choices)
    return answer(question)


def as_trained(part: TokenPart, end: int | None = None) -> tuple[list[int], list[bool]]:
    """Ids and marks, up to a place."""
    return list(part.ids[:end]), list(part.trained[:end])


def row_of(tokens: TokenizedRows, number: int) -> tuple[list[int], list[bool]]:
    """Ids and marks as the trainer has them."""
    return tokens.ids(number).tolist(), tokens.trained(number).tolist()


@pytest.mark.parametrize("max_length", [4096, 24, 16])
def test_marked_tokens_are_the_labels_of_training(base: Path, tmp_path: Path, max_length: int) -> None:
    """For each row of conversations, ids, marks and the place of the cut are those of the arrays that the trainer reads."""
    rows = written(tmp_path / "rows.jsonl", ROWS)
    trained = tokenize_rows(rows, load_tokenizer(base), max_length, lambda _event: None, "cut")
    kept = []
    for number in range(3):  # the last one is a pair, which has two sequences
        preview = asked(rows, number, base, max_length, long_rows="cut")
        (part,) = preview.parts
        assert (preview.fate == "cut") == (part.total > max_length) or preview.fate == "too_long"
        if part.kept:
            kept.append(as_trained(part, part.kept))
    kept += [row_of(trained, len(trained) - 1)] if len(trained) > len(kept) else []
    assert kept == [row_of(trained, number) for number in range(len(trained))]


def test_pairs_are_what_preference_training_reads(base: Path, tmp_path: Path) -> None:
    """Both answers of a preference, in order, with only the last answer marked."""
    rows = written(tmp_path / "rows.jsonl", ROWS[3:])
    halves = tokenize_preferences(rows, load_tokenizer(base), 4096, lambda _event: None).halves
    preview = asked(rows, 0, base, 4096)
    assert [part.role for part in preview.parts] == ["better", "worse"]
    assert [as_trained(part) for part in preview.parts] == [row_of(halves, 0), row_of(halves, 1)]
    assert asked(rows, 0, base, 16).fate == "too_long"


def test_documents_are_shown_in_the_pieces_that_are_trained(base: Path, tmp_path: Path) -> None:
    """A long text begins its pieces where training does, and its end token is trained."""
    rows = written(tmp_path / "rows.jsonl", [Document(TEXT)])
    trained = tokenize_rows(rows, load_tokenizer(base), 64, lambda _event: None)
    preview = asked(rows, 0, base, 64)
    (part,) = preview.parts
    assert preview.fate == "pieces"
    assert [list(part.ids[start : start + 64]) for start in preview.starts] == [trained.ids(row).tolist() for row in range(len(trained))]
    assert (part.turns, part.turns_ended) == (1, 1)
    assert part.trained_total == trained.trained_tokens


@pytest.mark.parametrize("number", range(3))
def test_pieces_are_the_text(base: Path, tmp_path: Path, number: int) -> None:
    """What is shown of the tokens, put together, is what the template has rendered, to the last character."""
    rows = written(tmp_path / "rows.jsonl", ROWS)
    row = ROWS[number]
    assert isinstance(row, Conversation)
    rendered, _ = ChatTemplate(load_tokenizer(base)).trained_spans(row.messages)
    (part,) = asked(rows, number, base, 4096).parts
    assert "".join(part.texts) == rendered
    assert len(part.texts) == len(part.ids) == len(part.trained) == part.total


def test_windows_are_parts_of_the_whole(base: Path, tmp_path: Path) -> None:
    """Any window shows the same tokens at the same places, also behind the end."""
    rows = written(tmp_path / "rows.jsonl", ROWS)
    (whole,) = asked(rows, 1, base, 4096).parts
    for first, count in ((0, 5), (7, 9), (whole.total - 2, 50), (whole.total + 10, 5)):
        (part,) = asked(rows, 1, base, 4096, first=first, count=count).parts
        assert part.ids == whole.ids[first : first + count]
        assert part.texts == whole.texts[first : first + count]
        assert (part.total, part.kept, part.trained_total) == (whole.total, whole.kept, whole.trained_total)


def test_the_end_of_turn_is_told(base: Path, tmp_path: Path) -> None:
    """Each answer of a conversation ends with a trained token; where the cut takes it away, that is said."""
    rows = written(tmp_path / "rows.jsonl", ROWS)
    (part,) = asked(rows, 2, base, 4096).parts
    assert (part.turns, part.turns_ended) == (2, 2)
    (cut,) = asked(rows, 2, base, part.total - 2, long_rows="cut").parts
    assert (cut.turns, cut.turns_ended) == (2, 1)
    assert asked(rows, 2, base, part.total - 2, long_rows="refuse").fate == "refused"


def test_damaged_and_giant_rows_are_named(base: Path, tmp_path: Path) -> None:
    """Bytes that are no row, a file that is gone and a row of many megabytes each have their own error."""
    rows = tmp_path / "rows.jsonl"
    rows.write_bytes(b'{"messages": 3}\n')
    with pytest.raises(ApplianceError, match="row_damaged"):
        asked(rows, 0, base, 64)
    with pytest.raises(ApplianceError, match="rows_missing"):
        answer(TokenQuestion(base=str(base), rows=str(tmp_path / "none"), begin=0, size=9, max_length=64))
    with pytest.raises(ApplianceError, match="row_too_large_to_preview"):
        answer(TokenQuestion(base=str(base), rows=str(rows), begin=0, size=9 << 20, max_length=64))
