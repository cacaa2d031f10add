"""Witnesses of what our own Python processes try to reach: ``sitecustomize`` is the one, this tells what it wrote down.

Python imports a module of that name at every start, from wherever ``PYTHONPATH`` leads; so each process is watched from its first
instruction, those that a library starts as well. Native code is not seen: the kernel's counters, and ``strace`` in the tests, are for that.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from appliance.processes.witness.sitecustomize import EXPECTED, RECORD

__all__ = ["EXPECTED", "FOLDER", "RECORD", "Testimony", "read_record"]

FOLDER = Path(__file__).parent
"""What has to be on ``PYTHONPATH``."""


@dataclass
class Testimony:
    """What all witnesses of one record saw."""

    processes: int = 0
    """Python processes that were watched from their start."""
    attempts: list[str] = field(default_factory=list)
    """``event target``: look-ups of names, and sockets that were to reach beyond this machine or be reached from there."""
    unprepared: list[str] = field(default_factory=list)
    """Command lines of processes that were started without one of the expected variables, and which."""


def read_record(record: Path) -> Testimony:
    """Read a record; one that was never written is that of no process."""
    told = Testimony()
    lines = record.read_text("utf-8").splitlines() if record.is_file() else []
    for line in lines:
        kind, _pid, *rest = line.split("\t")
        if kind == "started":
            told.processes += 1
            if rest[0]:
                told.unprepared.append(f"{rest[1]}: {rest[0]}")
        else:
            told.attempts.append(" ".join((kind, *rest)))
    return told
