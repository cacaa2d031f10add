"""Lines from children that stutter, flood and die."""

from __future__ import annotations

import os
import sys
import tracemalloc
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from appliance.processes.child import Child, spawn
from appliance.processes.lines import LineReader


def say(code: str, tmp_path: Path) -> Child:
    """A child that writes to its pipe with ``out``."""
    code = f"import sys, time; out = sys.stdout.buffer\n{code}"
    return spawn([sys.executable, "-I", "-S", "-c", code], log=tmp_path / "log", stdout="pipe")


def read_all(reader: LineReader) -> list[bytes]:
    """All lines until the pipe's end."""
    lines = []
    while not reader.ended:
        lines += reader.read(10)
    return lines


def test_lines_in_pieces(tmp_path: Path) -> None:
    """A line that comes in two pieces is one line; a torn last line is no line."""
    with say("out.write(b'one\\ntw'); out.flush(); time.sleep(0.2); out.write(b'o\\nthr')", tmp_path) as child:
        assert child.stdout is not None
        reader = LineReader(child.stdout)
        assert read_all(reader) == [b"one", b"two"]
        assert reader.unfinished == b"thr"
        assert reader.read(0) == []


def test_silence(tmp_path: Path) -> None:
    """Reading from a silent child ends after the time limit."""
    with say("time.sleep(60)", tmp_path) as child:
        assert child.stdout is not None
        reader = LineReader(child.stdout)
        assert reader.read(0.1) == [] and not reader.ended


def test_flood_without_a_newline(tmp_path: Path) -> None:
    """A line of 200 MB is left out and counted, in bounded memory, and the next line is read."""
    with say("for _ in range(200): out.write(b'x' * 1000000)\nout.write(b'\\nafter\\n')", tmp_path) as child:
        assert child.stdout is not None
        reader = LineReader(child.stdout)
        tracemalloc.start()
        lines = read_all(reader)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert lines == [b"after"] and reader.skipped == 1
    assert peak < 8 << 20


@given(st.lists(st.binary(max_size=40).filter(lambda line: b"\n" not in line), max_size=30), st.binary(max_size=5), st.integers(1, 30))
def test_any_bytes(lines: list[bytes], torn: bytes, longest: int) -> None:
    """Whatever comes, exactly the lines within the limit are given, in order, and the others are counted."""
    torn = torn.replace(b"\n", b"")[:longest]
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb", 0) as stream:
        os.write(writing, b"".join(line + b"\n" for line in lines) + torn)
        os.close(writing)
        reader = LineReader(stream, longest)
        assert read_all(reader) == [line for line in lines if len(line) <= longest]
    assert reader.skipped == sum(len(line) > longest for line in lines)
    assert reader.unfinished == torn
