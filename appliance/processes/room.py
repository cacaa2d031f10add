"""What a new process may take of the machine, and of the container that this process lives in: memory and cores."""

from __future__ import annotations

import os
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


def usable_cores(groups: Path = _GROUPS) -> int:
    """Logical cores that this process may keep busy, by its affinity and its container's quota; at least one."""
    allowed = len(os.sched_getaffinity(0))
    quota, period = _quota(groups)
    return max(1, min(allowed, quota // period) if quota > 0 and period > 0 else allowed)


def physical_cores() -> int:
    """The same without second threads of one core, which do not help arithmetic."""
    cores = usable_cores()
    return min(cores, psutil.cpu_count(logical=False) or cores)


def _quota(groups: Path) -> tuple[int, int]:
    """Microseconds of processor time in so many microseconds; 0 or less where nothing is limited."""
    try:
        quota, period = (groups / "cpu.max").read_text("ascii").split()  # version 2
        return (0, 0) if quota == "max" else (int(quota), int(period))
    except (OSError, ValueError):
        return _number(groups / "cpu/cpu.cfs_quota_us") or 0, _number(groups / "cpu/cpu.cfs_period_us") or 0


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
