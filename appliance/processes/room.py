"""Memory that a new process may take: of the machine, and of the container that this process lives in."""

from __future__ import annotations

from pathlib import Path

import psutil

_GROUPS = Path("/sys/fs/cgroup")
_FILES = (
    ("memory.max", "memory.current", "memory.stat"),  # version 2 of control groups
    ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "memory/memory.stat"),  # version 1; no limit is a huge number
)


def host_memory(groups: Path = _GROUPS) -> tuple[int, int]:
    """Bytes that are free for a new process, and bytes there are altogether."""
    machine = psutil.virtual_memory()
    for limit, usage, details in _FILES:
        allowed, used = _number(groups / limit), _number(groups / usage)
        if allowed is not None and used is not None:
            # What a container has read of files is counted as used, and is given up when somebody needs it.
            free = max(0, allowed - used + _reclaimable(groups / details))
            return min(machine.available, free), min(machine.total, allowed)
    return machine.available, machine.total


def _number(file: Path) -> int | None:
    try:
        return int(file.read_text("ascii"))
    except (OSError, ValueError):  # no container, or "max"
        return None


def _reclaimable(file: Path) -> int:
    try:
        lines = file.read_text("ascii").splitlines()
    except OSError:
        return 0
    counts = dict(line.split() for line in lines)
    return int(counts.get("inactive_file", 0)) + int(counts.get("active_file", 0))
