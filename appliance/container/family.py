"""Whom the supervisor answers for: its children, orphans that became its children, and processes that ``docker exec`` brought in."""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

CONDUCTOR = "appliance.running.conductor"
_PR_SET_CHILD_SUBREAPER = 36  # <linux/prctl.h>


class Relative(NamedTuple):
    """A living process that is told when the container stops."""

    pid: int
    started: int
    """In clock ticks since the machine started: with the number it names a process for good."""
    is_ours: bool
    """Whether its parent is this process and it can be told to leave; else it, or who started it, came in by ``docker exec``."""
    is_stopped: bool
    """Whether it was stopped, as by Ctrl-Z, and hears nothing until it is told to go on."""


def adopt_orphans() -> None:
    """Become the parent of every descendant that loses its own, also where another init is process 1 (``docker run --init``)."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def relatives(proc: Path = Path("/proc")) -> list[Relative]:
    """Children of this process and, where it is process 1, whoever came in from outside. Their own children are left to them."""
    ours = os.getpid()
    found = []
    for pid, parent, state, started in _processes(proc):
        is_child = parent == ours
        came_in = ours == 1 and parent == 0 and pid != 1
        if state != "Z" and (is_child or came_in):
            found.append(Relative(pid, started, is_child and _may_be_told(pid), state == "T"))
    return found


def runs_conducted(family: list[Relative], proc: Path = Path("/proc")) -> list[str]:
    """Ids of the runs that conductors among them lead."""
    found = []
    for relative in family:
        with suppress(OSError):
            words = (proc / str(relative.pid) / "cmdline").read_bytes().decode("utf-8", "replace").split("\0")
            if CONDUCTOR in words[:-1]:
                found.append(words[words.index(CONDUCTOR) + 1])
    return sorted(found)


def tell(pid: int, number: signal.Signals) -> None:
    """Send a signal; one who has left meanwhile, or belongs to another user, is passed over."""
    with suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)


def _may_be_told(pid: int) -> bool:
    """Whether a signal would reach it: what root has left behind hears nothing from a user without capabilities."""
    try:
        os.kill(pid, 0)
    except PermissionError:
        return False
    except ProcessLookupError:
        pass
    return True


def _processes(proc: Path) -> Iterator[tuple[int, int, str, int]]:
    """Number, parent's number, state and start of every process, see ``proc_pid_stat(5)``."""
    for name in os.listdir(proc):  # noqa: PTH208  # names are all that is wanted, some hundred times
        if name.isdigit():
            try:
                # The program's name stands in brackets and may hold any character.
                _, _, rest = (proc / name / "stat").read_text("utf-8", "replace").rpartition(")")
            except OSError:
                continue
            fields = rest.split()
            if len(fields) > 19:  # some kernels show a process that is just leaving with an empty line
                yield int(name), int(fields[1]), fields[0], int(fields[19])
