"""The command in places it was not made for: strange locales, closed streams, names that are no text, users without a home."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli.conftest import Greenwave

ROW = '{"instruction": "路口", "output": "路灯"}\n'


def command(*arguments: str | bytes) -> list[str | bytes]:
    """The command as a process of its own."""
    return [sys.executable, "-m", "appliance.entry", *arguments]


def run(*arguments: str | bytes, **variables: str) -> subprocess.CompletedProcess[bytes]:
    """Run the command with further environment variables."""
    return subprocess.run(command(*arguments), capture_output=True, env={**os.environ, **variables}, check=False, timeout=120)


@pytest.fixture
def records(tmp_path: Path) -> Path:
    """A file of one row."""
    source = tmp_path / "records.jsonl"
    source.write_text(ROW, "utf-8")
    return source


def test_usage_errors_are_objects_with_json(greenwave: Greenwave) -> None:
    """A missing option and an unknown command tell a program code, message and hint, as every other error does."""
    for words in (("train",), ("nothing",), ("runs", "list", "--limit", "1" + "0" * 30)):
        refused = greenwave(*words, "--json")
        assert (refused.status, refused.error["code"]) == (2, "usage")
        assert refused.error["hint"].startswith("greenwave")


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_terminal_without_chinese_gets_escapes(encoding: str) -> None:
    """What a terminal cannot show is written as an escape and ends nothing."""
    shown = run("--help", PYTHONIOENCODING=encoding, GREENWAVE_LANG="zh")
    assert shown.returncode == 0, shown.stderr
    assert b"Traceback" not in shown.stderr


def test_a_file_name_that_is_no_text_is_named(records: Path) -> None:
    """A name in GB18030 from a foreign medium: one sentence and a hint, for people and programs."""
    foreign = bytes(records.parent) + b"/\xc2\xb7\xbf\xda.jsonl"
    Path(os.fsdecode(foreign)).write_text(ROW, "utf-8")
    refused = run("datasets", "import", foreign, "--name", "x", "--json")
    assert refused.returncode == 2
    assert json.loads(refused.stderr)["code"] == "argument_not_text"


@pytest.mark.parametrize("closed", ["0<&-", "1>&-", "2>&-", "0<&- 1>&- 2>&-"])
def test_closed_streams_end_nothing(greenwave: Greenwave, records: Path, closed: str) -> None:
    """Started by a service without standard streams, an import is done as usual and no file takes a stream's place."""
    words = f"datasets import {records} --name rows"
    ended = subprocess.run(["/bin/sh", "-c", f"{sys.executable} -m appliance.entry {words} {closed}"], check=False, timeout=120)
    assert ended.returncode == 0
    assert [one["name"] for one in greenwave("datasets", "list", "--json").json] == ["rows"]


def test_a_reader_that_has_seen_enough_is_no_failure(greenwave: Greenwave, records: Path) -> None:
    """``datasets export … | head -1`` ends well on both sides."""
    records.write_text(ROW * 5000, "utf-8")
    assert greenwave("datasets", "import", records, "--name", "rows").status == 0
    script = f"set -o pipefail; {sys.executable} -m appliance.entry datasets export rows | head -1"
    ended = subprocess.run(["/bin/bash", "-c", script], capture_output=True, check=False, timeout=120)
    assert (ended.returncode, ended.stderr) == (0, b"")


def test_a_full_device_is_told(greenwave: Greenwave, records: Path) -> None:
    """Output that cannot be written is exit code 4, one sentence and no traceback."""
    assert greenwave("datasets", "import", records, "--name", "rows").status == 0
    with Path("/dev/full").open("wb") as full:
        ended = subprocess.run(command("datasets", "list"), stdout=full, stderr=subprocess.PIPE, check=False, timeout=120)
    assert ended.returncode == 4
    assert b"Traceback" not in ended.stderr


def test_a_user_without_a_home_is_told(monkeypatch: pytest.MonkeyPatch, greenwave: Greenwave) -> None:
    """A home that cannot be found out names the variable that helps."""
    monkeypatch.setenv("GREENWAVE_HOME", "~no-such-user-here/x")
    for words in (("datasets", "list"), ("doctor",)):
        refused = greenwave(*words, "--json")
        assert (refused.status, refused.error["code"]) == (2, "home_unknown")
        assert "GREENWAVE_HOME" in refused.error["hint"]


def test_a_target_that_cannot_be_written_is_named(greenwave: Greenwave, records: Path, tmp_path: Path) -> None:
    """A folder that is not there, and a disk that is full: nothing half-written stays."""
    assert greenwave("datasets", "import", records, "--name", "rows").status == 0
    refused = greenwave("datasets", "export", "rows", tmp_path / "no" / "folder")
    assert refused.status == 2
    assert "cannot be written" in refused.err


def test_files_that_were_taken_away_are_named(greenwave: Greenwave, records: Path) -> None:
    """Rows that somebody deleted by hand: bad data by name, not a traceback."""
    made = greenwave("datasets", "import", records, "--name", "rows", "--json").json
    (Path(made["path"]) / "rows.jsonl").unlink()
    for words in (("preview", "rows"), ("export", "rows")):
        refused = greenwave("datasets", *words)
        assert refused.status == 3
        assert "Traceback" not in refused.err


@pytest.mark.parametrize("words", [("datasets", "import"), ("models", "import")])
def test_names_longer_than_the_system_allows_are_named(greenwave: Greenwave, words: tuple[str, ...]) -> None:
    """A path that no file can have is a source that cannot be read."""
    refused = greenwave(*words, "x" * 300, "--name", "y", "--json")
    assert (refused.status, refused.error["code"]) == (3, "source_missing")


def test_a_defect_of_ours_is_one_sentence(greenwave: Greenwave, monkeypatch: pytest.MonkeyPatch) -> None:
    """What nobody foresaw is told by name with what to do; the traceback comes on request."""
    from appliance.services.runs import RunService

    def break_down(_service: RunService, _limit: int) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(RunService, "newest", break_down)
    told = greenwave("runs", "list", "--json")
    assert (told.status, told.error["code"]) == (1, "command_defect")
    monkeypatch.setenv("GREENWAVE_TRACE", "1")
    with pytest.raises(ZeroDivisionError):
        greenwave("runs", "list")


def test_ctrl_c_while_looking_on_leaves_the_run_going(greenwave: Greenwave, tmp_path: Path) -> None:
    """``runs watch`` only looks: Ctrl-C ends the looking, and the run is done in the end."""
    source = tmp_path / "many.jsonl"
    with source.open("w", encoding="utf-8") as file:
        file.writelines(f'{{"instruction": "question {number}", "output": "answer"}}\n' for number in range(300_000))
    run_id = greenwave("datasets", "import", source, "--name", "rows", "--detach", "--json").json["run"]
    looking = subprocess.Popen(command("runs", "watch", run_id), stderr=subprocess.PIPE)
    time.sleep(0.7)
    looking.send_signal(signal.SIGINT)
    looking.communicate(timeout=30)
    assert looking.returncode in (130, 0, -signal.SIGINT)  # 0: the import was quicker; -2: Python itself had not started yet
    deadline = time.monotonic() + 60
    while (state := greenwave("runs", "show", run_id, "--json").json["state"]) in ("queued", "running"):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert state == "done"


def test_ctrl_c_at_any_time_ends_command_and_run(greenwave: Greenwave, tmp_path: Path) -> None:
    """Whenever the interrupt comes, the command leaves soon, and no run of it goes on or is kept from writing its record."""
    source = tmp_path / "many.jsonl"
    with source.open("w", encoding="utf-8") as file:
        file.writelines(f'{{"instruction": "question {number}", "output": "answer"}}\n' for number in range(1_500_000))
    for number in range(10):
        importing = subprocess.Popen(command("datasets", "import", str(source), "--name", f"rows-{number}"), stderr=subprocess.PIPE)
        time.sleep(0.1 + 0.07 * number)
        while number == 9 and not any(run["state"] == "running" for run in greenwave("runs", "list", "--json").json):
            assert importing.poll() is None  # the last interrupt comes when the run goes on for certain
        importing.send_signal(signal.SIGINT)
        _, told = importing.communicate(timeout=20)
        assert importing.returncode in (130, -signal.SIGINT)
        assert importing.returncode != 130 or b"Traceback" not in told
    deadline = time.monotonic() + 30  # a run that was cancelled a moment ago still has to write that down
    while "running" in (states := {run["state"] for run in greenwave("runs", "list", "--json").json}):
        assert time.monotonic() < deadline
    assert "cancelled" in states
