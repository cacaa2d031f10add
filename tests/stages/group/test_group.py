"""Groups are listed, the largest first, and nothing is changed or left behind."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from appliance.domain.conversation import Conversation, Message
from appliance.domain.document import Document
from appliance.domain.errors import ApplianceError
from appliance.domain.event import Event, Produced
from appliance.domain.row import Row, row_to_json
from appliance.domain.spec import GroupSpec
from appliance.stages import group

LONG = "机动车通过没有交通信号灯控制的交叉路口时应当减速慢行并让行人和优先通行的车辆先行"


def listed(folder: Path, rows: list[Row], **fields: object) -> tuple[list[dict[str, object]], dict[str, object]]:
    """The list and the counts."""
    path, place = folder / "rows.jsonl", folder / "cache" / "groups.jsonl"
    path.write_bytes(b"".join(row_to_json(row) + b"\n" for row in rows))
    before, events = path.read_bytes(), list[Event]()
    group.run(GroupSpec(rows=str(path), output=str(place), **fields), events.append)  # type: ignore[arg-type]  # as the test gives
    assert path.read_bytes() == before
    assert [left.name for left in place.parent.iterdir()] == ["groups.jsonl"]
    facts = next(event.artifact.facts for event in events if isinstance(event, Produced))
    return [json.loads(line) for line in place.read_bytes().splitlines()], facts


def test_near_duplicates(tmp_path: Path) -> None:
    """The larger group comes first; a group shows twenty of its rows, with escape sequences made harmless."""
    small = [Document("\x1b[2J" + LONG[::-1], "b:1"), Document("\x1b[2J" + LONG[::-1] + "。", "b:2")]
    groups, facts = listed(tmp_path, [*small, *(Document(f"{LONG}{number % 3}", f"a:{number}") for number in range(30)), Document("别的")])
    assert facts == {"groups": 2, "grouped": 32, "largest": 30, "rows": 33}
    assert [(one["group"], one["size"]) for one in groups] == [(1, 30), (2, 2)]
    shown = [one["rows"] for one in groups]
    assert isinstance(shown[0], list) and isinstance(shown[1], list)
    assert len(shown[0]) == 20
    assert [(row["line"], row["source"], row["excerpt"].isprintable()) for row in shown[1]] == [(1, "b:1", True), (2, "b:2", True)]


def test_contradictions(tmp_path: Path) -> None:
    """One question with two answers is a group; agreeing answers, documents and preferences are none."""

    def row(question: str, answer: str, rejected: str = "") -> Conversation:
        return Conversation((Message("user", question), Message("assistant", answer)), rejected=rejected)

    rows: list[Row] = [
        row("限速？", "60"),
        row("限速", "80"),
        row("红灯？", "停"),
        row("红灯", "停。"),
        row("限速", "90", "100"),
        Document("限速"),
    ]
    groups, facts = listed(tmp_path, rows, kind="contradictions")
    assert facts == {"groups": 1, "grouped": 2, "largest": 2, "rows": 6}
    shown = groups[0]["rows"]
    assert isinstance(shown, list)
    assert [row["line"] for row in shown] == [1, 2]


@pytest.mark.parametrize("kind", ["near_duplicates", "contradictions"])
def test_rows_that_are_not_there(tmp_path: Path, kind: str) -> None:
    """Missing, empty and damaged rows are named, and no list is left."""
    for data, code in ((None, "rows_missing"), (b"", "rows_empty"), (b'{"x": 1}\n', "rows_damaged")):
        if data is not None:
            (tmp_path / "rows.jsonl").write_bytes(data)
        with pytest.raises(ApplianceError, match=code):
            group.run(GroupSpec(rows=str(tmp_path / "rows.jsonl"), output=str(tmp_path / "c" / "g"), kind=kind), list[Event]().append)  # type: ignore[arg-type]  # as given
        assert not list((tmp_path / "c").glob("*"))
