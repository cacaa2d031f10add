"""Datasets written for other programs and read back by the importers."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.domain.conversation import Conversation, Message
from appliance.domain.dataset import Dataset
from appliance.domain.document import Document
from appliance.domain.errors import ApplianceError
from appliance.domain.event import Produced
from appliance.domain.row import Row, row_from_json, row_to_json
from appliance.domain.spec import IngestSpec
from appliance.services.exporting import lines_of, write_rejected, write_rows
from appliance.services.row_forms import FORMS, NotCarried
from appliance.services.workbench import Workbench
from appliance.stages import ingest
from tests.domain.test_spreadsheet import DANGEROUS
from tests.stages.language_model.tiny import conversation

AWKWARD = '=1+1\r\n"引号",\'逗号;\t|\n\n\u2028 　尾 '
ROWS: list[Row] = [
    conversation("限速多少？", "60"),
    conversation(AWKWARD, "'=" + AWKWARD, system="-系统" + AWKWARD),
    conversation("一", "二", "三", AWKWARD),
    conversation("=", "四", "五", "六", "七", "@八", system="s"),
    Conversation((Message("user", "哪个好？"), Message("assistant", "好")), rejected="坏" + AWKWARD),
    Document("一篇文章。"),
]
CARRIED = {"chat": (0, 1, 2, 3, 4), "alpaca": (0, 1, 2, 3), "sharegpt": (0, 1, 2, 3), "csv": (0, 1)}
REASONS = {
    "alpaca": {"form_without_preferences": 1, "form_without_documents": 1},
    "sharegpt": {"form_without_preferences": 1, "form_without_documents": 1},
    "csv": {"form_without_turns": 2, "form_without_preferences": 1, "form_without_documents": 1},
}


@pytest.fixture
def workbench() -> Workbench:
    """One over an empty home."""
    return Workbench()


def registered(workbench: Workbench, rows: list[Row], rejected: bytes = b"") -> Dataset:
    """A dataset of these rows in the registry."""
    folder = workbench.home.artefact("dataset", "dataset-1") / "data"
    folder.mkdir(parents=True)
    (folder / "rows.jsonl").write_bytes(b"".join(row_to_json(row) + b"\n" for row in rows))
    (folder / "rejected.jsonl").write_bytes(rejected)
    dataset = Dataset(id="dataset-1", name="d", path=str(folder), sha256="", size=0, counts={"rows": len(rows)}, created=0.0)
    workbench.store.datasets.add(dataset)
    return dataset


def imported(source: Path, folder: Path) -> list[Row]:
    """What the importers make of a file, recognised by its content."""
    events: list[Any] = []
    ingest.run(IngestSpec(source=str(source), output=str(folder)), events.append)
    assert any(isinstance(event, Produced) for event in events)
    return [row_from_json(line) for line in (folder / "rows.jsonl").read_bytes().splitlines()]


@pytest.mark.parametrize("form", FORMS)
def test_rows_come_back_with_the_same_hash(workbench: Workbench, tmp_path: Path, form: str) -> None:
    """Exported and imported again, each row that the form carries is the same to the byte; all others are listed with their reason."""
    rows = ROWS[:-1] if form == "chat" else ROWS
    registered(workbench, rows)
    target = tmp_path / ("out.csv" if form == "csv" else "out.jsonl")
    made = write_rows(workbench.datasets, "d", target, form)
    whole = list(CARRIED[form])
    if form == "chat":  # one file is of one form: preferences are read by themselves
        lines = target.read_bytes().splitlines(keepends=True)
        (tmp_path / "pairs.jsonl").write_bytes(lines.pop())
        target.write_bytes(b"".join(lines))
        assert [row.content_hash() for row in imported(tmp_path / "pairs.jsonl", tmp_path / "pairs")] == [rows[4].content_hash()]
        whole.remove(4)
    assert [row.content_hash() for row in imported(target, tmp_path / "again")] == [rows[place].content_hash() for place in whole]
    assert made.counts == {"written": len(CARRIED[form]), "left_out": len(rows) - len(CARRIED[form])}
    listed = [json.loads(line) for line in Path(made.left_out).read_text("utf-8").splitlines()] if made.left_out else []
    assert {reason: [entry["reason"] for entry in listed].count(reason) for reason in REASONS.get(form, {})} == REASONS.get(form, {})
    assert len(listed) == made.counts["left_out"]


@given(st.text(min_size=1).filter(lambda text: "\0" not in text), st.sampled_from(DANGEROUS))
def test_a_table_carries_any_text(text: str, danger: str) -> None:
    """Whatever a question and its answer say, their cells are no formulas and give them back."""
    from appliance.domain.spreadsheet import unguarded
    from appliance.services.row_forms import as_cells

    cells = as_cells(conversation(text, danger + text))
    assert [unguarded(cells["instruction"]), unguarded(cells["output"])] == [text, danger + text]
    with pytest.raises(NotCarried, match="form_without_control_bytes"):
        as_cells(conversation("a\0b", "c"))


def test_no_cell_of_an_exported_table_is_a_formula(workbench: Workbench, tmp_path: Path) -> None:
    """Read as a spreadsheet reads it, every cell of rows full of formulas begins with an apostrophe or is plain."""
    registered(workbench, [conversation(one, other, system=one) for one in DANGEROUS for other in DANGEROUS])
    write_rows(workbench.datasets, "d", tmp_path / "out.csv", "csv")
    with (tmp_path / "out.csv").open(encoding="utf-8-sig", newline="") as file:
        records = list(csv.reader(file, strict=True))
    assert len(records) == len(DANGEROUS) ** 2 + 1
    assert all(cell[:1] == "'" for record in records[1:] for cell in record)


def test_rejected_rows_are_exported(workbench: Workbench, tmp_path: Path) -> None:
    """As lines that say what the listing says, and as a table without formulas."""
    entries = [{"line": 3, "reason": "row_not_json", "parameters": {"byte": 1}, "excerpt": "=cmd|x"}, {"line": 9, "reason": "row_too_deep"}]
    registered(workbench, ROWS[:1], b"".join(json.dumps(entry).encode() + b"\n" for entry in entries))
    assert write_rejected(workbench.datasets, "d", tmp_path / "r.jsonl", "chat").counts == {"written": 2, "left_out": 0}
    told = [json.loads(line) for line in (tmp_path / "r.jsonl").read_text().splitlines()]
    assert [entry | {"why": ""} for entry in told] == [entry | {"why": ""} for entry in entries]
    assert [entry["why"] for entry in told] == ["not valid JSON (at byte 1)", "JSON nested too deeply"]
    write_rejected(workbench.datasets, "d", tmp_path / "r.csv", "csv")
    assert '"3","","row_not_json","\'=cmd|x",""' in (tmp_path / "r.csv").read_text("utf-8-sig")


def test_nothing_is_overwritten_or_left_half_done(workbench: Workbench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is there stays; a damaged dataset leaves neither the file nor the list beside it."""
    dataset = registered(workbench, [*ROWS, ROWS[0]])
    (tmp_path / "there").write_text("mine")
    with pytest.raises(ApplianceError, match="target_exists"):
        write_rows(workbench.datasets, "d", tmp_path / "there", "chat")
    assert (tmp_path / "there").read_text() == "mine"
    with pytest.raises(ApplianceError, match="form_unknown"):
        write_rows(workbench.datasets, "d", tmp_path / "out", "xml")
    with pytest.raises(ApplianceError, match="target_not_writable"):
        write_rows(workbench.datasets, "d", tmp_path / "none" / "out", "chat")
    rows = Path(dataset.path) / "rows.jsonl"
    rows.write_bytes(rows.read_bytes() + b"{broken\n")
    with pytest.raises(ApplianceError, match="rows_damaged"):
        write_rows(workbench.datasets, "d", tmp_path / "out", "alpaca")
    assert [path.name for path in tmp_path.iterdir()] == ["there"]


def test_lines_are_made_as_they_are_asked_for(workbench: Workbench) -> None:
    """Nothing is read before the first line is wanted, and no more than was wanted."""
    dataset = registered(workbench, ROWS[:3])
    lines = lines_of(workbench.datasets, dataset, "chat", lambda _entry: None)
    assert json.loads(next(lines))["messages"][0]["content"] == "限速多少？"
