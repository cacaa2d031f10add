"""What the driver's tool tells of GPUs is read, and nothing it may say instead is taken for one."""

from __future__ import annotations

from appliance.services.gpu import GpuNow, parsed

GIB = 1 << 30


def test_the_tools_lines_become_gpus() -> None:
    """Names may hold commas; what a device does not say is None; other lines are no GPUs."""
    told = "NVIDIA H200, SXM, 2048, 143360, 41, 97\nNVIDIA T4, 0, 15360, [N/A], [N/A]\nNo devices were found\nx, y, z, 1, 2\n"
    assert parsed(told) == [
        GpuNow(name="NVIDIA H200, SXM", memory_used=2 * GIB, memory_total=140 * GIB, temperature=41, utilization=97),
        GpuNow(name="NVIDIA T4", memory_used=0, memory_total=15 * GIB, temperature=None, utilization=None),
    ]
