"""Files of lines: written in large blocks with their checksum, read with the position in the file."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

BLOCK = 1 << 20
"""Bytes that are read or written at once."""


class LineWriter:
    """Appends lines to a new file; ``sha256`` and ``size`` describe the whole file once the ``with`` block has ended."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("xb", buffering=0)
        self._digest = hashlib.sha256()
        self._waiting = bytearray()
        self.size = 0
        self.count = 0

    def write(self, line: bytes) -> None:
        """Append one line, given without its newline."""
        self._waiting += line
        self._waiting += b"\n"
        self.count += 1
        if len(self._waiting) >= BLOCK:
            self._flush()

    def _flush(self) -> None:
        full, self._waiting = self._waiting, bytearray()
        self._digest.update(full)
        self.size += len(full)
        rest = memoryview(full)
        while rest:
            rest = rest[self._file.write(rest) :]

    @property
    def sha256(self) -> str:
        """Of everything that has gone to the disk."""
        return self._digest.hexdigest()

    def __enter__(self) -> LineWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            if kind is None:
                self._flush()
        finally:
            self._file.close()


def read_lines(path: Path) -> Iterator[tuple[int, int, bytes]]:
    """Every line as ``(number from 1, position behind it in bytes, line without its newline)``."""
    position = 0
    with path.open("rb", buffering=BLOCK) as file:
        for number, line in enumerate(file, 1):
            position += len(line)
            yield number, position, line.removesuffix(b"\n")
