"""Near-duplicates are found and nothing else, the same ones with any number of threads, in files small and large."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from appliance.domain.conversation import Conversation, Message
from appliance.domain.document import Document
from appliance.domain.errors import ApplianceError
from appliance.domain.event import Event, Progress, Started
from appliance.domain.row import Row, row_to_json
from appliance.stages.near_duplicates import Groups, find_groups, groups
from tests.stages.near_duplicates.planted import alike_pairs, jaccard, texts_with_copies

THRESHOLD = 0.8


def grouped(folder: Path, rows: Sequence[Row], threshold: float = THRESHOLD, threads: int = 1, events: list[Event] | None = None) -> Groups:
    """Groups of these rows."""
    path, told = folder / "rows.jsonl", [] if events is None else events
    path.write_bytes(b"".join(row_to_json(row) + b"\n" for row in rows))
    found = find_groups(path, len(rows), threshold, folder / "scratch", told.append, threads)
    assert [left.name for left in folder.iterdir()] == ["rows.jsonl"]
    return found


def test_every_planted_pair_in_a_small_file(tmp_path: Path) -> None:
    """Of a file whose pairs are all compared the groups are exactly what the definition gives."""
    texts = texts_with_copies(700)
    found = grouped(tmp_path, [Document(text) for text in texts])
    pairs = alike_pairs(texts, THRESHOLD)
    assert len(pairs) > 120
    leads = list(range(len(texts)))

    def root(row: int) -> int:
        while leads[row] != row:
            row = leads[row]
        return row

    for one, other in pairs:
        leads[max(root(one), root(other))] = min(root(one), root(other))
    assert found.first.tolist() == [root(row) for row in range(len(texts))]


def test_recall_and_precision_of_the_bands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a large file is searched: at least 95 % of the pairs at 0.8 are together, and every row is like another one of its group."""
    monkeypatch.setattr(groups, "EVERY_PAIR_UP_TO", 0)
    texts = texts_with_copies(2000, seed=8)
    found = grouped(tmp_path, [Document(text) for text in texts])
    pairs = alike_pairs(texts, THRESHOLD)
    together = sum(found.first[one] == found.first[other] for one, other in pairs)
    print(f"{len(pairs)} pairs, {together} together, {found.grouped} rows in {len(found.members)} groups")
    assert together >= 0.95 * len(pairs)
    for group in found.members:
        for row in group:
            assert max(jaccard(texts[row], texts[other]) for other in group if other != row) >= THRESHOLD


def test_threads_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One thread and three find the same groups."""
    monkeypatch.setattr(groups, "EVERY_PAIR_UP_TO", 0)
    rows = [Document(text) for text in texts_with_copies(2000, seed=4)]
    one, three = (grouped(tmp_path, rows, threads=threads) for threads in (1, 3))
    assert np.array_equal(one.first, three.first)
    assert one.grouped > 400


def test_one_template_for_all_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows that fill one bucket are still grouped where they are alike, and the search ends."""
    monkeypatch.setattr(groups, "EVERY_PAIR_UP_TO", 0)
    head = "接到群众报警称道路上发生一起交通事故请求派员前往处理并注明现场情况："
    texts = [head + f"编号{number // 2 * 7919:08d}" + "甲乙"[number % 2] for number in range(3000)]
    found = grouped(tmp_path, [Document(text) for text in texts], threshold=0.95)
    assert all(jaccard(texts[group[0]], texts[group[1]]) >= 0.95 for group in found.members)
    assert found.grouped >= 0.95 * len(texts)


def test_what_is_compared(tmp_path: Path) -> None:
    """Case, white space, system turns and labels make no difference; a rejected answer does; nothing is like an empty text."""

    def row(question: str, answer: str = "停车让行并在保证安全后通过", **fields: object) -> Conversation:
        return Conversation((Message("user", question), Message("assistant", answer)), **fields)  # type: ignore[arg-type]  # as given

    rows: list[Row] = [
        row("LED 信号灯全部熄灭的路口应当如何通行"),
        row("led信号灯全部熄灭的路口应当如何通行\n", labels={"class": "a"}),
        Conversation((Message("system", "你是交警" * 50), *row("LED信号灯全部熄灭的路口应当如何通行").messages)),
        row("LED信号灯全部熄灭的路口应当如何通行", rejected="可以直接快速通过不必停车也不必观察周围的情况"),
        Document(" "),
        Document("\n"),
        Document("短"),
        Document("短 "),
        Document("长"),
    ]
    assert grouped(tmp_path, rows).first.tolist() == [0, 0, 0, 3, 4, 5, 6, 6, 8]


def test_who_stays(tmp_path: Path) -> None:
    """Of each group the first one, or the longest and of equally long ones the first."""
    texts = [
        "红灯停绿灯行黄灯亮了等一等大家都要遵守",
        "红灯停绿灯行黄灯亮了等一等大家都要遵守啊",
        "别的",
        "红灯停绿灯行黄灯亮了等一等大家都要遵守吧",
    ]
    found = grouped(tmp_path, [Document(text) for text in texts], 0.7)
    assert found.kept().tolist() == [0, 0, 2, 0]
    assert found.kept(longest=True).tolist() == [1, 1, 2, 1]
    assert found.facts() == {"groups": 1, "grouped": 3, "largest": 3}


def test_long_documents(tmp_path: Path) -> None:
    """Beyond a thousand different 5-grams a sketch decides, within a few hundredths."""
    text = "".join(chr(0x4E00 + (number * 7919) % 20000) for number in range(6000))
    other = text[:3000] + text[4200:]
    assert jaccard(text, other) == pytest.approx(0.8, abs=0.01)
    rows = [Document(text), Document(other), Document(text[:4000] + text[:10])]
    assert grouped(tmp_path, rows, 0.75).first.tolist() == [0, 0, 2]
    assert grouped(tmp_path, rows, 0.85).first.tolist() == [0, 1, 2]


def test_progress_and_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading is told in bytes, comparing in bands; a damaged line ends the search and nothing is left behind."""
    monkeypatch.setattr(groups, "EVERY_PAIR_UP_TO", 0)
    events: list[Event] = []
    grouped(tmp_path, [Document(text) for text in texts_with_copies(50)], events=events)
    started = [event for event in events if isinstance(event, Started)]
    assert [event.unit for event in started] == ["bytes", "bands"]
    assert [event.done for event in events if isinstance(event, Progress)][-1] == started[1].total
    (tmp_path / "rows.jsonl").write_bytes(b'{"text": "a"}\n{"x": 1}\n')
    with pytest.raises(ApplianceError, match="rows_damaged") as caught:
        find_groups(tmp_path / "rows.jsonl", 2, THRESHOLD, tmp_path / "scratch", list[Event]().append)
    assert caught.value.parameters["line"] == 2
    assert [left.name for left in tmp_path.iterdir()] == ["rows.jsonl"]
