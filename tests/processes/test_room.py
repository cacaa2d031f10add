"""The memory of a container, as either version of control groups tells it."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest

from appliance.processes.room import host_memory

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
