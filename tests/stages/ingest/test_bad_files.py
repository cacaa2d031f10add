"""Files that cannot be imported end in one named error, and leave nothing behind."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from appliance.domain.errors import ApplianceError, ExitCode
from appliance.domain.event import Event, Progress
from appliance.domain.spec import IngestSpec
from appliance.files.lines import LineWriter
from appliance.processes.stopping import Stopped
from appliance.stages import ingest
from appliance.stages.ingest.source import Source
from appliance.texts.speech import LANGUAGES, explain

Import = Callable[..., Any]

BAD_FILES = {
    "empty": (b"", "source_empty"),
    "byte order mark alone": (b"\xef\xbb\xbf", "source_empty"),
    "white space": (b" \r\n\t\n", "source_empty"),
    "binary": (bytes(range(256)) * 40, "source_not_text"),
    "zip": (b"PK\x03\x04" + os.urandom(20_000), "file_damaged"),
    "NUL bytes": (b"\x00" * 10_000, "source_not_text"),
    "a number": (b"5", "format_unknown"),
    "a string": (b'"text"', "format_unknown"),
    "pretty object": (b'{\n  "instruction": "q",\n  "output": "a"\n}\n', "json_not_rows"),
    "broken lines": (b"{a\n{b\n", "json_not_rows"),
    "empty list": (b"[]", "json_list_without_objects"),
    "list of words": (b'["a", "b"]', "json_list_without_objects"),
    "deep list": (b"[" * 300_000, "json_list_without_objects"),
    "object around the list": (b'{"data": [{"instruction": "q", "output": "a"}]}', "columns_unrecognised"),
    "unknown keys": (b'{"a": "q", "b": "a"}\n', "columns_unrecognised"),
    "unknown columns": (b"a,b\n1,2\n", "columns_unrecognised"),
    "header alone": ("问题,回答\n".encode(), "source_without_rows"),
    "no good row": (b'{"instruction": "q", "output": ""}\n' * 3 + b"{\n", "nothing_accepted"),
}


@pytest.mark.parametrize("kind", BAD_FILES)
def test_bad_file_is_one_error(import_bytes: Import, tmp_path: Path, kind: str) -> None:
    """The error has its code, its words in both languages, exit code 3, and no folder, not even a partial one, is left."""
    data, code = BAD_FILES[kind]
    with pytest.raises(ApplianceError) as caught:
        import_bytes(data, name="rows.txt")
    assert caught.value.code == code
    assert caught.value.exit_code == ExitCode.BAD_DATA
    for language in LANGUAGES:
        message, hint = explain(caught.value, language)
        assert "{" not in message and hint
    assert [path.name for path in tmp_path.iterdir()] == ["rows.txt"]


def test_nothing_accepted_tells_the_commonest_reason(import_bytes: Import) -> None:
    """When no row is good the error carries the reason of most of them, with its words."""
    with pytest.raises(ApplianceError) as caught:
        import_bytes(b'{"instruction": "q", "output": ""}\n' * 3 + b"{\n")
    assert caught.value.parameters["rejected"] == 4
    assert caught.value.parameters["problems"] == [{"code": "row_without_answer"}]
    assert "no answer" in explain(caught.value, "en")[0]


CHOICES: dict[str, tuple[dict[str, Any], str]] = {
    "column missing": ({"columns": {"output": "终稿"}}, "column_missing"),
    "field unknown": ({"columns": {"antwort": "回答"}}, "field_unknown"),
    "format unknown": ({"format": "wps"}, "importer_unknown"),
    "encoding unknown": ({"encoding": "klingon"}, "encoding_unknown"),
}


@pytest.mark.parametrize("kind", CHOICES)
@pytest.mark.parametrize("data", ["问题,回答\n问,答\n", '{"问题": "问", "回答": "答"}\n'], ids=["table", "lines"])
def test_wrong_choice_names_what_there_is(import_bytes: Import, tmp_path: Path, kind: str, data: str) -> None:
    """A column, field, format or encoding that does not exist is answered with those that do."""
    choices, code = CHOICES[kind]
    with pytest.raises(ApplianceError) as caught:
        import_bytes(data.encode(), name="rows.txt", **choices)
    assert caught.value.code == code
    known = {"column_missing": "问题, 回答", "field_unknown": "instruction", "importer_unknown": "sharegpt", "encoding_unknown": "gb18030"}
    assert known[code] in " ".join(explain(caught.value, "en"))
    assert [path.name for path in tmp_path.iterdir()] == ["rows.txt"]


def test_places_that_are_no_file(tmp_path: Path) -> None:
    """A missing file, a folder, a pipe, which would never end, and a file that gives read errors are named."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "faulty").symlink_to("/proc/self/mem")
    named = {"missing": "source_missing", "": "source_is_folder", "pipe": "source_unreadable", "faulty": "source_unreadable"}
    for name, code in named.items():
        with pytest.raises(ApplianceError) as caught:
            ingest.run(IngestSpec(source=str(tmp_path / name), output=str(tmp_path / "dataset")), list[Event]().append)
        assert caught.value.code == code
    assert not (tmp_path / "dataset").exists()


def test_medium_pulled_out(import_bytes: Import, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A read error in the middle is named and leaves nothing half-written."""

    def failing(_source: Source) -> Iterator[bytes]:
        yield b'{"instruction": "q", "output": "a"}\n'
        raise ApplianceError("source_unreadable", name="rows.jsonl")

    monkeypatch.setattr(Source, "blocks", failing)
    with pytest.raises(ApplianceError, match="source_unreadable"):
        import_bytes(b'{"instruction": "q", "output": "a"}\n')
    assert [path.name for path in tmp_path.iterdir()] == ["rows.jsonl"]


def test_full_disk_is_named(import_bytes: Import, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No space left while writing: exit code 4, and the partial folder is gone."""

    def full(_writer: LineWriter) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(LineWriter, "_flush", full)
    with pytest.raises(ApplianceError) as caught:
        import_bytes(b'{"instruction": "q", "output": "a"}\n')
    assert (caught.value.code, caught.value.exit_code) == ("disk_full", ExitCode.NO_ROOM)
    assert [path.name for path in tmp_path.iterdir()] == ["rows.jsonl"]


def test_stopped_in_the_middle(tmp_path: Path) -> None:
    """A stop at any moment leaves neither a dataset nor a partial one."""
    (tmp_path / "rows.jsonl").write_bytes(b'{"instruction": "q", "output": "a"}\n' * 100_000)

    def stopping(event: Event) -> None:
        if isinstance(event, Progress) and event.done > 2 << 20:
            raise Stopped

    with pytest.raises(Stopped):
        ingest.run(IngestSpec(source=str(tmp_path / "rows.jsonl"), output=str(tmp_path / "dataset")), stopping)
    assert [path.name for path in tmp_path.iterdir()] == ["rows.jsonl"]


def test_hostile_file_name(import_bytes: Import, tmp_path: Path) -> None:
    """A name with escape sequences and bytes that are no text does not reach the rows as it is."""
    name = os.fsdecode(b"\x1b]0;x\x07\xff.jsonl")
    imported = import_bytes(b'{"instruction": "q", "output": "a"}\n', name=name)
    assert imported.rows[0]["source"] == "\\x1b]0;x\\x07\\xff.jsonl:1"
