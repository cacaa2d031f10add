"""The memory and the cores of a container, as either version of control groups tells them."""

from __future__ import annotations

import os
from pathlib import Path

import psutil
import pytest

from appliance.processes.room import host_memory, physical_cores, usable_cores

MIB = 1 << 20
STAT = f"anon {3 * MIB}\nactive_file {2 * MIB}\ninactive_file {1 * MIB}\n"
FILES = {
    2: ("memory.max", "memory.current", "memory.stat"),
    1: ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "memory/memory.stat"),
}


@pytest.mark.parametrize("version", FILES)
def test_a_containers_limit_counts(tmp_path: Path, version: int) -> None:
    """What is allowed is all there is; what is free is the rest of it, with what was read of files and can be given up."""
    (tmp_path / "memory").mkdir()
    for name, content in zip(FILES[version], (f"{64 * MIB}\n", f"{10 * MIB}\n", STAT), strict=True):
        (tmp_path / name).write_text(content)
    assert host_memory(tmp_path) == (57 * MIB, 64 * MIB)


@pytest.mark.parametrize(("version", "unlimited"), [(2, "max\n"), (1, "9223372036854771712\n"), (0, "")])
def test_without_a_limit_the_machine_counts(tmp_path: Path, version: int, unlimited: str) -> None:
    """No limit, in either version's way of saying so, or no control groups at all."""
    (tmp_path / "memory").mkdir()
    for name, content in zip(FILES.get(version, ()), (unlimited, f"{10 * MIB}\n", STAT), strict=False):
        (tmp_path / name).write_text(content)
    assert host_memory(tmp_path)[1] == psutil.virtual_memory().total


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"cpu.max": "100000 100000\n"}, 1),
        ({"cpu.max": "50000 100000\n"}, 1),
        ({"cpu/cpu.cfs_quota_us": "100000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 1),
        ({"cpu.max": "max 100000\n"}, None),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, None),
        ({"cpu.max": "6400000 100000\n"}, None),
        ({"cpu.max": "nonsense\n"}, None),
        ({}, None),
    ],
)
def test_a_containers_quota_of_cores_counts(tmp_path: Path, files: dict[str, str], expected: int | None) -> None:
    """A part of a core is one core, and nobody gets more cores than this process may run on."""
    (tmp_path / "cpu").mkdir()
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    assert usable_cores(tmp_path) == (expected or min(64, len(os.sched_getaffinity(0))))


def test_second_threads_of_a_core_are_left_out() -> None:
    """Arithmetic takes no more threads than there are cores."""
    assert 1 <= physical_cores() <= min(usable_cores(), psutil.cpu_count(logical=False) or usable_cores())
