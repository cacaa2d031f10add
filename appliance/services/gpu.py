"""What the GPUs are doing right now, as the driver's own tool tells it."""

from __future__ import annotations

import subprocess

import msgspec

_QUERY = ["nvidia-smi", "--query-gpu=name,memory.used,memory.total,temperature.gpu,utilization.gpu", "--format=csv,noheader,nounits"]
_MIB = 1 << 20


class GpuNow(msgspec.Struct, frozen=True, kw_only=True):
    """One GPU at one moment."""

    name: str
    memory_used: int
    """Bytes."""
    memory_total: int
    """Bytes."""
    temperature: int | None
    """Degrees Celsius; None where the device does not say."""
    utilization: int | None
    """Per cent of the last second or so; None where the device does not say."""


def gpus_now() -> list[GpuNow]:
    """Every GPU; none on a machine without a driver, or with one that does not answer."""
    try:
        told = subprocess.run(_QUERY, capture_output=True, text=True, timeout=10, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return []
    return parsed(told)


def parsed(told: str) -> list[GpuNow]:
    """The tool's lines of comma-separated values; a line of another form is left out."""
    found = []
    for line in told.splitlines():
        parts = [part.strip() for part in line.rsplit(",", 4)]
        if len(parts) != 5 or not (parts[1].isdigit() and parts[2].isdigit()):
            continue
        temperature, utilization = (int(part) if part.isdigit() else None for part in parts[3:])
        used, total = int(parts[1]) * _MIB, int(parts[2]) * _MIB
        found.append(GpuNow(name=parts[0], memory_used=used, memory_total=total, temperature=temperature, utilization=utilization))
    return found
