"""Splitting goes by content: stable, independent of order, without a leak, never with an empty training side."""

from __future__ import annotations

import errno
import hashlib
import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.domain.conversation import Conversation, Message, to_json
from appliance.domain.errors import ApplianceError, ExitCode
from appliance.domain.event import Artifact, Event, Produced, Progress, Started
from appliance.domain.recipe import SplitRecipe
from appliance.domain.spec import SplitSpec
from appliance.files.lines import LineWriter
from appliance.stages import split
from appliance.texts.speech import LANGUAGES, explain

Sides = dict[str, list[str]]


def row(question: str, source: str = "") -> Conversation:
    """A row that is told apart by its question."""
    return Conversation((Message("user", question), Message("assistant", "答")), source)


def divide(folder: Path, rows: Sequence[Conversation], **fields: Any) -> tuple[Sides, list[Event]]:
    """Questions on each side, in their order, and the events."""
    folder.mkdir(parents=True)
    (folder / "rows.jsonl").write_bytes(b"".join(to_json(one) + b"\n" for one in rows))
    outputs = {f"{side}_output": str(folder / side) for side in ("train", "validation", "test")}
    events: list[Event] = []
    split.run(SplitSpec(rows=str(folder / "rows.jsonl"), **outputs, recipe=SplitRecipe(**fields)), events.append)
    return {side.name: _questions(side) for side in folder.iterdir() if side.is_dir()}, events


def _questions(side: Path) -> list[str]:
    return [json.loads(line)["messages"][0]["content"] for line in (side / "rows.jsonl").read_bytes().splitlines()]


ROWS = [row(f"第 {number} 问", f"a.csv:{number}") for number in range(1000)]


def test_share_is_kept(tmp_path: Path) -> None:
    """Of many rows about the share is validation, every row is on exactly one side, and the order of the file is kept."""
    sides, _ = divide(tmp_path / "a", ROWS, validation_share=0.1)
    assert 70 <= len(sides["validation"]) <= 130
    questions = [one.messages[0].content for one in ROWS]
    assert sorted(sides["train"] + sides["validation"]) == sorted(questions)
    for side in sides.values():
        assert side == [question for question in questions if question in set(side)]


def test_order_and_origin_do_not_matter(tmp_path: Path) -> None:
    """Shuffled rows from other files go to the same sides."""
    shuffled = [row(one.messages[0].content, "b.csv:1") for one in random.Random(3).sample(ROWS, len(ROWS))]
    first, _ = divide(tmp_path / "a", ROWS)
    second, _ = divide(tmp_path / "b", shuffled)
    assert {side: set(rows) for side, rows in first.items()} == {side: set(rows) for side, rows in second.items()}


def test_seed_decides(tmp_path: Path) -> None:
    """The same seed gives the same bytes, another seed another division."""
    for name, seed in (("a", 17), ("b", 17), ("c", 18)):
        divide(tmp_path / name, ROWS, seed=seed)
    files = {name: (tmp_path / name / "validation" / "rows.jsonl").read_bytes() for name in "abc"}
    assert files["a"] == files["b"] != files["c"]


def test_rows_that_come_later_move_nothing(tmp_path: Path) -> None:
    """A larger version of a dataset keeps its old validation rows on that side: an earlier score stays comparable."""
    small, _ = divide(tmp_path / "a", ROWS[:600])
    large, _ = divide(tmp_path / "b", ROWS)
    assert set(small["validation"]) <= set(large["validation"])
    assert set(small["train"]) <= set(large["train"])


@given(st.lists(st.integers(0, 6), min_size=1, max_size=14), st.sampled_from([0.0, 0.001, 0.1, 0.5]), st.integers(0, 3), st.randoms())
def test_sides_of_any_rows(
    tmp_path_factory: pytest.TempPathFactory, numbers: list[int], share: float, seed: int, chance: random.Random
) -> None:
    """No content is on both sides, training is never empty, validation only when it was not wanted; a shuffle changes nothing."""
    folder = tmp_path_factory.mktemp("any")
    rows = [row(f"q{number}", f"f:{place}") for place, number in enumerate(numbers)]
    if share > 0 and len(set(numbers)) < 2:
        with pytest.raises(ApplianceError, match="too_few_rows"):
            divide(folder / "a", rows, validation_share=share, seed=seed)
        return
    sides, _ = divide(folder / "a", rows, validation_share=share, seed=seed)
    assert set(sides) == ({"train", "validation"} if share else {"train"})
    assert all(sides.values())
    assert not set(sides["train"]) & set(sides.get("validation", []))
    assert sorted(question for side in sides.values() for question in side) == sorted(f"q{number}" for number in numbers)
    chance.shuffle(rows)
    again, _ = divide(folder / "b", rows, validation_share=share, seed=seed)
    assert {side: sorted(questions) for side, questions in again.items()} == {side: sorted(questions) for side, questions in sides.items()}


def test_announcements(tmp_path: Path) -> None:
    """Both sides are announced with role, checksum and counts; progress covers both readings of the file."""
    _, events = divide(tmp_path / "a", [row(f"{number}" * 2000) for number in range(1000)], near_duplicates=False)
    artifacts: list[Artifact] = [event.artifact for event in events if isinstance(event, Produced)]
    assert [artifact.role for artifact in artifacts] == ["train", "validation"]
    for artifact in artifacts:
        data = (Path(artifact.path) / "rows.jsonl").read_bytes()
        assert (artifact.sha256, artifact.size) == (hashlib.sha256(data).hexdigest(), len(data))
        assert artifact.facts["counts"] == {"read": 1000, "rows": data.count(b"\n")}
        assert artifact.facts["side"] == artifact.role
    started = next(event for event in events if isinstance(event, Started))
    done = [event.done for event in events if isinstance(event, Progress)]
    size = (tmp_path / "a" / "rows.jsonl").stat().st_size
    assert started == Started(total=2 * size, unit="bytes", what="split")
    assert done == sorted(done) and size < done[-1] <= 2 * size


BAD_ROWS = {
    "missing": (None, "rows_missing"),
    "empty": (b"", "rows_empty"),
    "damaged": (to_json(row("q")) + b"\n{", "rows_damaged"),
    "one row": (to_json(row("q")), "too_few_rows"),
    "twice the same": (to_json(row("q", "a:1")) + b"\n" + to_json(row("q", "a:2")), "too_few_rows"),
}


@pytest.mark.parametrize("kind", BAD_ROWS)
def test_rows_that_cannot_be_split(tmp_path: Path, kind: str) -> None:
    """One named error with words in both languages, and neither side is left behind."""
    data, code = BAD_ROWS[kind]
    rows = tmp_path / "rows.jsonl"
    if data is not None:
        rows.write_bytes(data)
    with pytest.raises(ApplianceError) as caught:
        split.run(SplitSpec(rows=str(rows), train_output=str(tmp_path / "t"), validation_output=str(tmp_path / "v")), list[Event]().append)
    assert (caught.value.code, caught.value.exit_code) == (code, ExitCode.BAD_DATA)
    for language in LANGUAGES:
        message, hint = explain(caught.value, language)
        assert "{" not in message and hint
    assert [path.name for path in tmp_path.iterdir()] == (["rows.jsonl"] if data is not None else [])


def test_full_disk_leaves_no_side(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No space left while writing: exit code 4, and neither side is there."""

    def full(_writer: LineWriter) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(LineWriter, "_flush", full)
    with pytest.raises(ApplianceError) as caught:
        divide(tmp_path / "a", ROWS[:10])
    assert (caught.value.code, caught.value.exit_code) == ("disk_full", ExitCode.NO_ROOM)
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["rows.jsonl"]
