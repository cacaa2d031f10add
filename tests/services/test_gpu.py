"""What the driver's tool tells of GPUs is read, and nothing it may say instead is taken for one."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.services.gpu import GpuNow, gpus_now, parsed
from appliance.services.plans import detected_room

GIB = 1 << 30


def test_the_tools_lines_become_gpus() -> None:
    """Names may hold commas; what a device does not say is None; other lines are no GPUs."""
    told = (
        "NVIDIA H200, SXM, 2048, 140000, 143360, 41, 97, 9.0, 580.65.06\nNVIDIA T4, 0, 15095, 15360, [N/A], [N/A], [N/A], 580.65.06\n"
        "No devices were found\nx, y, z, 1, 2, 3, 4, 5.0, 6\n"
    )
    assert parsed(told) == [
        GpuNow(
            name="NVIDIA H200, SXM", memory_used=2 * GIB, memory_free=140_000 << 20, memory_total=140 * GIB, temperature=41, utilization=97,
            capability=9.0, driver="580.65.06",
        ),
        GpuNow(
            name="NVIDIA T4", memory_used=0, memory_free=15_095 << 20, memory_total=15 * GIB, temperature=None, utilization=None,
            capability=None, driver="580.65.06",
        ),
    ]  # fmt: skip


@pytest.mark.parametrize(("says", "half"), [("T4, 0, 15095, 15360, 41, 0, 7.5, 580.1", False), ("H200, 0, 1, 2, 3, 4, 9.0, 580.1", True)])
def test_a_plan_is_made_for_the_gpu_that_the_driver_tells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, says: str, half: bool) -> None:
    """Its free memory and whether it computes in bfloat16 come from the driver's tool; one that fails is no GPU."""
    tool = tmp_path / "nvidia-smi"
    tool.write_text(f"#!/bin/sh\ncase $1 in --query-gpu=*) echo '{says}';; *) exit 2;; esac\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    room = detected_room()
    assert (room.kind, room.free, room.half_precision) == ("cuda", gpus_now()[0].memory_free, half)
    tool.write_text("#!/bin/sh\nexit 9\n")
    assert (gpus_now(), detected_room().kind) == ([], "cpu")
