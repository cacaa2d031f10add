"""Logs that go on for as long as a machine is used: kept from growing without end."""

from __future__ import annotations

import os
from pathlib import Path

MOST = 4 << 20
"""Bytes that a log may have before it is cut."""
KEPT = 1 << 20
"""Bytes at its end that are kept then."""


def trim_log(log: Path, most: int = MOST, kept: int = KEPT) -> None:
    """Cut a log of more than ``most`` bytes down to its last ``kept``, from the beginning of a line on.

    In place, so that a process that appends to it goes on doing so, and so that a full disk is no obstacle; what is appended at that very
    moment may be lost. A log that is not there, or cannot be written, is left alone: nobody's work depends on it.
    """
    try:
        with log.open("r+b") as file:
            size = file.seek(0, os.SEEK_END)
            if size <= most:
                return
            file.seek(size - kept)
            tail = file.read(kept)
            file.seek(0)
            file.write(tail[tail.find(b"\n") + 1 :])
            file.truncate()
    except OSError:
        return
