"""Lines out of a pipe: bounded, without threads, and without waiting for ever."""

from __future__ import annotations

import os
import select
from typing import IO

LONGEST_LINE = 1 << 20
"""Bytes; a longer line is no event of ours."""
_CHUNK = 1 << 16


class LineReader:
    """Reads complete lines of a child's output; at most one line and one chunk are kept in memory."""

    def __init__(self, stream: IO[bytes], longest: int = LONGEST_LINE) -> None:
        self._descriptor = stream.fileno()
        self._longest = longest
        self._begun = bytearray()
        self._skipping = False
        self._poll = select.poll()
        self._poll.register(self._descriptor, select.POLLIN | select.POLLHUP)
        self.ended = False
        """Whether every writer has closed its end. A grandchild may hold it open: ask the ``Child`` as well."""
        self.skipped = 0
        """How many lines were longer than allowed and left out."""

    def read(self, timeout: float | None = None) -> list[bytes]:
        """The complete lines that are there, without newlines, waiting up to ``timeout`` seconds (None: as long as it takes).

        Nothing came, only part of a line came, or the pipe ended: an empty list.
        """
        if self.ended or not self._poll.poll(None if timeout is None else max(0, round(timeout * 1000))):
            return []
        chunk = os.read(self._descriptor, _CHUNK)
        if not chunk:
            self.ended = True
            return []
        *complete, rest = chunk.split(b"\n")
        lines = []
        for piece in complete:
            self._append(piece)
            if self._skipping:
                self._skipping = False
            else:
                lines.append(bytes(self._begun))
            self._begun.clear()
        self._append(rest)
        return lines

    @property
    def unfinished(self) -> bytes:
        """What came after the last newline; of a child that was killed in the middle of a line, the torn piece."""
        return bytes(self._begun)

    def _append(self, piece: bytes) -> None:
        if self._skipping:
            return
        if len(self._begun) + len(piece) > self._longest:
            self._begun.clear()
            self._skipping = True
            self.skipped += 1
        else:
            self._begun += piece
