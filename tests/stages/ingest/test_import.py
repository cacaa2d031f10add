"""What every import keeps to: counts that add up, the same bytes again, progress, and a complete result or none."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.domain.conversation import Conversation, Message, from_json, to_json
from appliance.domain.dataset import Rejected, printable
from appliance.domain.event import Event, Produced, Progress, Started
from appliance.domain.spec import IngestSpec
from appliance.stages import ingest
from appliance.stages.ingest.importers import IMPORTERS
from appliance.stages.ingest.source import Source
from tests.stages.ingest.office import pdf, word_document, word_paragraph, workbook

Import = Callable[..., Any]

SAMPLES = {
    "sharegpt": b'{"conversations": [{"from": "human", "value": "q"}, {"from": "gpt", "value": "a"}]}\n',
    "messages": b'{"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]}\n',
    "alpaca": b'{"instruction": "q", "output": "a"}\n',
    "preference": b'{"prompt": "q", "chosen": "a", "rejected": "b"}\n',
    "text_rows": b'{"text": "t"}\n',
    "csv": b"instruction,output\nq,a\n",
    "spreadsheet": workbook(("s", [["instruction", "output"], ["q", "a"]])),
    "html": b"<html><body><p>t</p></body></html>",
    "docx": word_document(word_paragraph("t")),
    "pdf": pdf("t"),
    "text": b"t\n",
    "signal_plans": "路口,周期,相位,绿灯,黄灯\nX,46,A,20,3\nX,46,B,20,3\n".encode(),
    "accidents": "事故经过,事故原因\n甲车撞乙车,未让行\n".encode(),
    "alarms122": "报警时间,报警内容,警情类型\n2024-03-05 08:20,两车相撞,事故\n".encode(),
    "sumo": b'<net><edge id="e" from="a" to="b"><lane id="e_0" length="100" speed="10"/></edge></net>',
}
"""The smallest file of every importer; a new importer adds its own."""
DOCUMENTS = ("text_rows", "html", "docx", "pdf", "text")
OF_TRAFFIC = ("signal_plans", "accidents", "alarms122", "sumo")
"""Importers that make rows of their own; their tests say which."""


@pytest.mark.parametrize("importer", IMPORTERS, ids=lambda importer: importer.name)
def test_importer_contract(import_bytes: Import, importer: Any) -> None:
    """Every importer recognises its own file and no other, reads it when asked by name, and knows where each row is from."""
    for chosen in ("auto", importer.name):
        imported = import_bytes(SAMPLES[importer.name], name=f"{chosen}.txt", format=chosen)
        if importer.name in DOCUMENTS:
            assert [row["text"] for row in imported.rows] == ["t"]
        elif importer.name in OF_TRAFFIC:
            assert all([role for role, _ in turns] == ["user", "assistant"] for turns in imported.turns)
        else:
            assert imported.turns == [[("user", "q"), ("assistant", "a")]]
        assert imported.facts["kind"] == ("documents" if importer.name in DOCUMENTS else "conversations")
        assert imported.facts["format"] == importer.name
        assert imported.rows[0]["source"].startswith(f"{chosen}.txt:")


def test_importers_do_not_claim_each_other(tmp_path: Path) -> None:
    """A file is recognised by exactly one importer, or by one that knows it better than the other."""
    for name, data in SAMPLES.items():
        source = tmp_path / name
        source.write_bytes(data)
        opened = Source(source, "auto", on_read=lambda _: None)
        claims = {importer.name: claimed for importer in IMPORTERS if (claimed := importer.claims(opened, {}))}
        # A table of alarms is a table, too, and XML is a text; who knows more of a file claims more of it.
        assert list(claims) == [name] or (name in OF_TRAFFIC and max(claims, key=lambda one: claims[one]) == name)


def test_record_of_the_result(import_bytes: Import, tmp_path: Path) -> None:
    """Checksum and size are those of the rows, source facts those of the file, and the counts are complete."""
    data = SAMPLES["alpaca"] * 3 + b"{\n"
    imported = import_bytes(data, name="人民路.jsonl")
    rows = (imported.folder / "rows.jsonl").read_bytes()
    assert imported.artifact.role == "dataset"
    assert imported.artifact.path == str(imported.folder)
    assert (imported.artifact.sha256, imported.artifact.size) == (hashlib.sha256(rows).hexdigest(), len(rows))
    assert imported.facts["source"] == {"name": "人民路.jsonl", "size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    assert (imported.facts["characters"], imported.facts["turns"]) == (6, 6)
    assert sorted(path.name for path in imported.folder.iterdir()) == ["rejected.jsonl", "rows.jsonl"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["人民路.jsonl", "人民路.jsonl.dataset"]


def test_same_file_same_bytes(import_bytes: Import) -> None:
    """Importing once more gives the same rows and the same list of rejected ones, byte for byte."""
    data = SAMPLES["messages"] * 50 + b"{\n"
    first = import_bytes(data)
    kept = {path.name: path.read_bytes() for path in first.folder.iterdir()}
    first.folder.rename(first.folder.with_name("first"))
    again = import_bytes(data)
    assert {path.name: path.read_bytes() for path in again.folder.iterdir()} == kept


def test_progress_reaches_the_end(import_bytes: Import) -> None:
    """Progress counts the file's bytes, only ever upwards, to the last one; the result is announced last."""
    data = SAMPLES["alpaca"] * 100_000
    events: list[Event] = import_bytes(data).events
    assert Started(total=len(data), unit="bytes", what="ingest") in events
    done = [event.done for event in events if isinstance(event, Progress)]
    assert done == sorted(done) and done[-1] == len(data) and len(done) >= 3
    assert isinstance(events[-1], Produced)


GOOD = st.builds(lambda question, answer: {"instruction": question, "output": answer}, *[st.text(min_size=1, max_size=9)] * 2).map(
    json.dumps
)
BAD = st.sampled_from(["{", "[]", "5", '{"instruction": "q"}', '{"output": 3}', "\x00", '{"instruction": "\\ud800"}']) | st.text(max_size=9)


@given(st.lists(GOOD | BAD | st.just(""), max_size=15))
def test_nothing_is_lost(tmp_path_factory: pytest.TempPathFactory, lines: list[str]) -> None:
    """Accepted and rejected rows together are all rows of the file, each under its own line."""
    folder = tmp_path_factory.mktemp("any")
    text = "\n".join([SAMPLES["alpaca"].decode().strip(), *lines])
    data = text.encode("utf-8", "surrogatepass")
    (folder / "rows").write_bytes(data)
    events: list[Event] = []
    ingest.run(IngestSpec(source=str(folder / "rows"), output=str(folder / "out"), format="alpaca", encoding="utf-8"), events.append)
    accepted = [json.loads(line)["source"] for line in (folder / "out" / "rows.jsonl").read_bytes().splitlines()]
    rejected = [json.loads(line)["line"] for line in (folder / "out" / "rejected.jsonl").read_bytes().splitlines()]
    places = sorted([int(source.removeprefix("rows:")) for source in accepted] + rejected)
    assert places == [number for number, line in enumerate(data.split(b"\n"), 1) if line.strip()]
    counts = next(event.artifact.facts["counts"] for event in events if isinstance(event, Produced))
    assert counts == {"read": len(places), "accepted": len(accepted), "rejected": len(rejected), "rows": len(accepted)}


@given(st.lists(st.text(max_size=20), min_size=2, max_size=6), st.text(max_size=20))
def test_conversation_survives_json(contents: list[str], source: str) -> None:
    """A conversation written as a line and read back is the same, and the line has no newline in it."""
    messages = tuple(Message("assistant" if number % 2 else "user", content) for number, content in enumerate(contents))
    row = Conversation(messages, source)
    line = to_json(row)
    assert b"\n" not in line
    assert from_json(line) == row
    assert from_json(line).content_hash() == row.content_hash()


@given(st.text(max_size=400), st.integers(1, 300))
def test_printable_is_printable(text: str, limit: int) -> None:
    """An excerpt of any text can be printed on any terminal and keeps to its length, escapes included."""
    shown = printable(text, limit)
    assert shown.isprintable()
    assert len(shown) <= limit


def test_rejected_rows_keep_their_keys() -> None:
    """Readers of the list can count on four keys."""
    import msgspec

    record = msgspec.json.encode(Rejected(3, "row_not_json", {}, ""))
    assert json.loads(record) == {"line": 3, "reason": "row_not_json", "parameters": {}, "excerpt": ""}


@pytest.mark.slow
def test_large_files_in_bounded_memory(tmp_path: Path) -> None:
    """300,000 rows are imported and cleaned with at most 150 MB above the start, and split, near-duplicates compared, with at most 600."""
    command = [sys.executable, "scripts/bench-data", "import", "--rows", "300000", "--form", "list", "--folder", str(tmp_path), "--json"]
    root = Path(__file__).parents[3]
    measured = json.loads(subprocess.run(command, cwd=root, check=True, capture_output=True).stdout)["measurements"]
    assert [line["what"] for line in measured] == ["ingest", "clean", "split"]
    assert all(line["memory_mb"] < most for line, most in zip(measured, (150, 150, 600), strict=True)), measured
