"""What the GPUs are doing right now, as the driver's own tool tells it."""

from __future__ import annotations

import subprocess

import msgspec

_FIELDS = ("name", "memory.used", "memory.free", "memory.total", "temperature.gpu", "utilization.gpu", "compute_cap", "driver_version")
_QUERY = ["nvidia-smi", f"--query-gpu={','.join(_FIELDS)}", "--format=csv,noheader,nounits"]
_MIB = 1 << 20


class GpuNow(msgspec.Struct, frozen=True, kw_only=True):
    """One GPU at one moment."""

    name: str
    memory_used: int
    """Bytes."""
    memory_free: int
    """Bytes; the driver keeps some of what is not used."""
    memory_total: int
    """Bytes."""
    temperature: int | None
    """Degrees Celsius; None where the device does not say."""
    utilization: int | None
    """Per cent of the last second or so; None where the device does not say."""
    capability: float | None
    """The generation, as CUDA counts it; None where the device does not say."""
    driver: str
    """Version."""


def ask_driver() -> list[GpuNow]:
    """Every GPU. Raises FileNotFoundError where there is no driver, and OSError or SubprocessError where it does not answer."""
    return parsed(subprocess.run(_QUERY, capture_output=True, text=True, timeout=20, check=True).stdout)


def gpus_now() -> list[GpuNow]:
    """Every GPU; none on a machine without a driver, or with one that does not answer."""
    try:
        return ask_driver()
    except (OSError, subprocess.SubprocessError):
        return []


def parsed(told: str) -> list[GpuNow]:
    """The tool's lines of comma-separated values; a line of another form is left out."""
    found = []
    for line in told.splitlines():
        name, *parts = (part.strip() for part in line.rsplit(",", len(_FIELDS) - 1))
        if len(parts) != len(_FIELDS) - 1 or not all(part.isdigit() for part in parts[:3]):
            continue
        used, free, total = (int(part) * _MIB for part in parts[:3])
        temperature, utilization = (int(part) if part.isdigit() else None for part in parts[3:5])
        found.append(
            GpuNow(
                name=name, memory_used=used, memory_free=free, memory_total=total, temperature=temperature, utilization=utilization,
                capability=float(parts[5]) if parts[5].replace(".", "", 1).isdigit() else None, driver=parts[6],
            )
        )  # fmt: skip
    return found
