"""No file, however it was made, gets more out of an import than a named error or a list of rejected rows."""

from __future__ import annotations

import json
import resource
from collections.abc import Callable, Iterable
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from appliance.domain.errors import ApplianceError, ExitCode
from appliance.domain.spec import IngestSpec
from appliance.processes.child import Child
from appliance.processes.ending import Ending
from appliance.stages import ingest
from appliance.stages.ingest import confined
from appliance.texts.speech import LANGUAGES, catalogue, explain
from tests.stages.ingest.hostile import SEED, Case, crafted, mutated, pdfs, texts, word_documents

SECONDS = 20.0
"""A reader may take for one of these small files."""
KNOWN = {language: (catalogue(language)["errors"], catalogue(language)["problems"]) for language in LANGUAGES}


@pytest.fixture(autouse=True)
def short_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """What would be waited for in earnest need not be waited for here."""
    monkeypatch.setattr(confined, "SECONDS", SECONDS)


def imported(case: Case, folder: Path) -> str:
    """How the import of one file ended: the error's code, or ``accepted``; everything else is a failure of the test."""
    source, dataset = folder / case.name.replace("/", "-"), folder / "dataset"
    source.write_bytes(case.data)
    try:
        ingest.run(IngestSpec(source=str(source), output=str(dataset)), lambda _event: None)
    except ApplianceError as error:
        outcome = check_error(error, case)
        require([path.name for path in folder.iterdir()] == [source.name], case)
    else:
        for line in (dataset / "rejected.jsonl").read_bytes().splitlines():
            row = json.loads(line)
            assert all(row["reason"] in KNOWN[language][1] for language in LANGUAGES), f"{case.name}: {row['reason']}"
            assert row["excerpt"].isprintable() and row.get("source", "").isprintable(), case.name
        for line in (dataset / "rows.jsonl").read_bytes().splitlines():
            row = json.loads(line)
            assert "\ufffd" not in str(row) and row["source"].isprintable(), case.name
        for path in dataset.iterdir():
            path.unlink()
        dataset.rmdir()
        outcome = "accepted"
    source.unlink()
    return outcome


def check_error(error: ApplianceError, case: Case) -> str:
    """The code of an error that a person can read in both languages."""
    require(error.exit_code in (ExitCode.BAD_DATA, ExitCode.NO_ROOM), case)
    for language in LANGUAGES:
        require(error.code in KNOWN[language][0], case)
        require(explain(error, language)[0].replace("\n", "").isprintable(), case)
    return error.code


def require(holds: bool, case: Case) -> None:
    """Name the file for which something does not hold."""
    assert holds, case.name


def endings(cases: Iterable[Case], folder: Path) -> dict[str, str]:
    """How each of them ended; the memory of the readers stayed in its bound."""
    peaks: list[int] = []

    def reap(child: Child) -> Ending:
        ending = whole(child)
        peaks.append(ending.peak_memory)
        return ending

    whole = Child._reap
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Child, "_reap", reap)
        found = {case.name: imported(case, folder) for case in cases}
    # A child's peak begins with what the process held that started it: this one, which may have run many other tests before.
    assert peaks and max(peaks) < max(confined.MEMORY, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 + 1)
    return found


EXPECTED = {
    "bomb-by-ratio.zip": "accepted",
    "only-a-bomb.zip": "nothing_accepted",
    "too-many-entries.zip": "archive_too_many",
    "overlapping.zip": "file_is_bomb",
    "encrypted.zip": "nothing_accepted",
    "link.zip": "accepted",
    "far-cell.xlsx": "file_needs_memory",
    "bomb.xlsx": "file_is_bomb",
    "bomb.docx": "file_is_bomb",
    "laughs.docx": "file_has_entities",
    "outside.docx": "file_has_entities",
    "remote-dtd.docx": "file_has_entities",
    "styles.docx": "file_has_entities",
    "deep.docx": "file_damaged",
    "no-text.pdf": "nothing_accepted",
    "letters-without-meaning.pdf": "nothing_accepted",
    "head-alone.pdf": "file_damaged",
    "nul.csv": "accepted",
    "mixed.csv": "accepted",
    "formulas.xlsx": "accepted",
    "long-cell.xlsx": "accepted",
    "old-WordDocument.xls": "old_document",
    "old-EncryptedPackage.xls": "file_encrypted",
}
"""How the most telling ones end."""


def test_some_of_the_worst(tmp_path: Path) -> None:
    """A few of them, for every change of the code."""
    some = ("laughs.docx", "outside.docx", "no-text.pdf", "nul.csv", "mixed.csv", "old-WordDocument.xls")
    cases = [case for case in (*islice(word_documents(), 2), *pdfs(), *texts()) if case.name in some]
    assert endings(cases, tmp_path) == {name: EXPECTED[name] for name in some}


def test_some_damaged_files(tmp_path: Path) -> None:
    """A handful of damaged files of all kinds, for every change of the code."""
    endings(mutated(11, SEED + 1), tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_the_whole_corpus(tmp_path: Path) -> None:
    """More than 300 files, each in bounded time and memory; the attacks that libraries are known to fall for end as they should."""
    cases = [*crafted(), *mutated(220)]
    assert len(cases) >= 300
    found = endings(cases, tmp_path)
    assert {name: found[name] for name in EXPECTED} == EXPECTED


@pytest.mark.slow
def test_a_gigabyte_on_one_line(tmp_path: Path) -> None:
    """A line of 1 GB is one rejected row, in memory that does not grow with it."""
    source = tmp_path / "long.jsonl"
    with source.open("wb") as file:
        file.write(b'{"instruction": "q", "output": "a"}\n')
        for _ in range(1024):
            file.write(b"x" * (1 << 20))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    ingest.run(IngestSpec(source=str(source), output=str(tmp_path / "dataset")), lambda _event: None)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000
    assert json.loads((tmp_path / "dataset" / "rejected.jsonl").read_bytes())["reason"] == "row_too_large"


ATTACKS: dict[str, tuple[str, str]] = {
    "memory": ("x = bytearray(8 << 30)", "file_needs_memory"),
    "a loop": ("while True: pass", "file_takes_too_long"),
    "sleep": ("import time; time.sleep(60)", "file_takes_too_long"),
    "a crash": ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "file_crashes_reader"),
    "a fault": ("raise KeyError('x')", "file_damaged"),
    "noise": ("print('x' * 100_000)", "source_without_text"),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_readers_are_confined(import_bytes: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, attack: str) -> None:
    """A reader that eats memory, never ends, crashes or babbles becomes one named error."""
    program, code = ATTACKS[attack]
    monkeypatch.setattr(confined, "SECONDS", 2.0)
    monkeypatch.setattr(confined, "SECONDS_PER_BYTE", 0.0)
    # The child imports what the interpreter finds first: here a reader of PDF files that attacks.
    library = tmp_path / "library"
    library.mkdir()
    (library / "sitecustomize.py").write_text(
        "import sys, types\n"
        "class Reader(types.ModuleType):\n"
        "    def parts(self, path, options):\n"
        f"        {program}\n"
        "        return iter(())\n"
        "sys.modules['appliance.stages.readers.pdf'] = Reader('pdf')\n"
    )
    monkeypatch.setenv("PYTHONPATH", f"{library}:{Path(__file__).parents[3]}")
    with pytest.raises(ApplianceError) as caught:
        import_bytes(b"%PDF-1.7\n", name="x.pdf")
    assert caught.value.code == code
