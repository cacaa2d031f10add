"""Memory that a new process may take: of the machine, and of the container that this process lives in."""

from __future__ import annotations

from pathlib import Path

import psutil

_CGROUP = Path("/sys/fs/cgroup")


def host_memory() -> tuple[int, int]:
    """Bytes that are free for a new process, and bytes there are altogether."""
    machine = psutil.virtual_memory()
    allowed, used = _number("memory.max"), _number("memory.current")
    if allowed is None or used is None:
        return machine.available, machine.total
    # What a container has read of files is counted as used, and is given up when somebody needs it.
    free = max(0, allowed - used + _reclaimable())
    return min(machine.available, free), min(machine.total, allowed)


def _number(name: str) -> int | None:
    try:
        return int((_CGROUP / name).read_text("ascii"))
    except (OSError, ValueError):  # no container, or "max"
        return None


def _reclaimable() -> int:
    try:
        lines = (_CGROUP / "memory.stat").read_text("ascii").splitlines()
    except OSError:
        return 0
    counts = dict(line.split() for line in lines)
    return int(counts.get("inactive_file", 0)) + int(counts.get("active_file", 0))
