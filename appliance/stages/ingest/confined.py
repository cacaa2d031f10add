"""Starting a reader in a child process with limits, and telling what became of it.

Memory is limited to a fixed amount and time by the size of the file. Both bounds are far above what any honest file needs.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Generator, Iterator
from pathlib import Path

import msgspec

from appliance.domain.errors import ApplianceError
from appliance.processes.child import Child, spawn
from appliance.processes.ending import Ending
from appliance.processes.lines import LineReader
from appliance.stages.ingest.source import Source
from appliance.stages.readers.part import Options, Part, Refusal

MEMORY = 2 << 30
"""Bytes of address space that a reader may take."""
SECONDS = 60.0
"""For a small file."""
SECONDS_PER_BYTE = 4e-6
"""More for every byte of a larger one: 4 s for a megabyte."""

_LONGEST_PART = 16 << 20
"""Bytes; readers keep rows and paragraphs far below."""
_SIGXCPU = 24
_MEMORY_WORDS = ("memory allocation of", "MemoryError", "bad_alloc", "Out of memory", "capacity overflow")
"""What Rust, Python, C++ and PDFium say on their way out."""


def parts(source: Source, reader: str, options: Options | None = None) -> Generator[Part, None, None]:
    """What the reader finds in the file, as it comes; stopping early ends the child.

    Raises what the reader refuses the file with, or ``file_needs_memory``, ``file_takes_too_long``, ``file_crashes_reader``.
    """
    seconds = SECONDS + SECONDS_PER_BYTE * source.size
    with tempfile.TemporaryDirectory(prefix="greenwave-") as folder:
        log = Path(folder) / "log"
        command = [sys.executable, "-P", "-m", "appliance.stages.readers.child", reader, str(source.path)]
        command += [msgspec.json.encode(options or Options()).decode(), str(MEMORY), str(max(1, round(seconds)))]
        # Every arena of the C library's allocator reserves 64 MB of address space.
        environment = {**os.environ, "MALLOC_ARENA_MAX": "2", "RUST_BACKTRACE": "0"}
        with spawn(command, log=log, stdout="pipe", env=environment) as child:
            for line in _lines(child, seconds, source.name):
                part = msgspec.json.decode(line, type=Part)
                if isinstance(part, Refusal):
                    raise ApplianceError(part.code, **{**part.parameters, "name": source.name})
                yield part
            ending = child.wait(5.0)
    if ending.kind != "done":
        raise _error(ending, source.name, seconds)


def _lines(child: Child, seconds: float, name: str) -> Iterator[bytes]:
    """The child's lines; only the time for which it is waited counts, so that a slow reader of ours is not its fault."""
    assert child.stdout is not None
    reader = LineReader(child.stdout, _LONGEST_PART)
    patience = seconds
    while not reader.ended:
        began = time.monotonic()
        lines = reader.read(patience)
        patience -= time.monotonic() - began
        yield from lines
        if patience <= 0:
            child.kill()
            raise ApplianceError("file_takes_too_long", name=name, seconds=seconds)
        if reader.skipped:
            raise ApplianceError("file_damaged", name=name)


def _error(ending: Ending, name: str, seconds: float) -> ApplianceError:
    if ending.signal == _SIGXCPU or (ending.signal == 9 and ending.seconds >= seconds):
        return ApplianceError("file_takes_too_long", name=name, seconds=seconds)
    if ending.kind == "out_of_memory_host" or any(words in ending.log_tail for words in _MEMORY_WORDS):
        return ApplianceError("file_needs_memory", name=name, limit=MEMORY)
    return ApplianceError("file_crashes_reader", name=name)
