"""Logs that are kept short."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from appliance.processes.child import spawn
from appliance.processes.logs import trim_log

LINES = [f"line {number}\n" for number in range(1000)]


def test_the_last_whole_lines_stay(tmp_path: Path) -> None:
    """A log that is too long keeps its end, beginning with a whole line, and no more than it may."""
    log = tmp_path / "log"
    log.write_text("".join(LINES))
    trim_log(log, most=2000, kept=500)
    left = log.read_text()
    assert left == "".join(LINES[-len(left.splitlines()) :])
    assert 400 < len(left) <= 500


@pytest.mark.parametrize("content", [b"", b"short\n", b"x" * 2000])
def test_a_short_log_is_left_alone(tmp_path: Path, content: bytes) -> None:
    """A log that is not too long keeps every byte."""
    log = tmp_path / "log"
    log.write_bytes(content)
    trim_log(log, most=2000, kept=500)
    assert log.read_bytes() == content


def test_a_line_without_end(tmp_path: Path) -> None:
    """A log without a single line is cut as well, to what a reader can use of it."""
    log = tmp_path / "log"
    log.write_bytes(b"x" * 5000)
    trim_log(log, most=2000, kept=500)
    assert log.read_bytes() == b"x" * 500


def test_what_cannot_be_cut_is_left_alone(tmp_path: Path) -> None:
    """No log, or a folder in its place, is nothing to fail over."""
    trim_log(tmp_path / "none", most=2000, kept=500)
    trim_log(tmp_path, most=0, kept=0)
    assert list(tmp_path.iterdir()) == []


def test_a_child_goes_on_writing_behind_the_cut(tmp_path: Path) -> None:
    """A child whose log is cut while it runs loses nothing that it writes later, and its last words are still found."""
    log, code = tmp_path / "log", "import time; print('ready', flush=True); time.sleep(0.3); raise ValueError('last words')"
    log.write_text("".join(LINES))
    with spawn([sys.executable, "-I", "-S", "-c", code], log=log, stdout="pipe") as child:
        assert child.stdout is not None and child.stdout.readline() == b"ready\n"
        trim_log(log, most=2000, kept=500)
        ending = child.wait(20)
    assert log.read_text().startswith("line 9") and log.read_text().endswith("ValueError: last words\n")
    assert ending.parameters["last_line"] == "ValueError: last words"
