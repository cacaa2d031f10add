"""Do the GPU libraries that are installed find the driver they need? Told from files, without loading any of them."""

from __future__ import annotations

import importlib.util
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

DRIVER_FOR_CUDA = {12: 525, 13: 580}
"""Oldest driver branch on Linux that runs programs built for a CUDA version (NVIDIA, CUDA compatibility, table of minor versions)."""

Trouble = Literal["no_driver", "not_passed", "driver_too_old"]

_BUILT_FOR = re.compile(r"^cuda\b[^=]*=\s*'(\d+)\.", re.MULTILINE)
_DRIVER = re.compile(r"Kernel Module(?:\s+for\s+\S+)?\s+(\d+)\.([\d.]+)")


@dataclass(frozen=True)
class GraphicsSituation:
    """What torch was built for, which driver is there, and what keeps the two apart."""

    cuda: int | None
    """Major version of CUDA that torch was built for; None for a build without CUDA."""
    driver: str = ""
    needed: int = 0
    trouble: Trouble | None = None
    """``not_passed``: the machine has a driver, and its GPU was not given to this container."""


def graphics_situation(proc: Path = Path("/proc"), dev: Path = Path("/dev"), version_file: Path | None = None) -> GraphicsSituation:
    """Look now; some file reads."""
    cuda = _built_for(version_file or _torch_version_file())
    if cuda is None:
        return GraphicsSituation(None)
    needed = DRIVER_FOR_CUDA.get(cuda, max(DRIVER_FOR_CUDA.values()))
    try:
        told = (proc / "driver/nvidia/version").read_text("utf-8", "replace")
    except OSError:
        return GraphicsSituation(cuda, needed=needed, trouble="no_driver")
    found = _DRIVER.search(told)
    driver = f"{found[1]}.{found[2]}" if found else "?"
    if found and int(found[1]) < needed:
        return GraphicsSituation(cuda, driver, needed, "driver_too_old")
    if not (dev / "nvidiactl").exists():
        return GraphicsSituation(cuda, driver, needed, "not_passed")
    return GraphicsSituation(cuda, driver, needed)


def _torch_version_file() -> Path | None:
    package = importlib.util.find_spec("torch")
    return next((Path(folder) / "version.py" for folder in (package and package.submodule_search_locations) or ()), None)


def _built_for(version_file: Path | None) -> int | None:
    try:
        found = _BUILT_FOR.search(version_file.read_text("utf-8")) if version_file else None
    except OSError:
        return None
    return int(found[1]) if found else None
