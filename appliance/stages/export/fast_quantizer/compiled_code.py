"""Where the machine code of the fast quantizer is kept between runs."""

from __future__ import annotations

import hashlib
import os
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numba


@cache
def cache_folder() -> Path | None:
    """The folder for compiled code, told to numba; None where there is no folder to write to, so that each process compiles anew.

    It is named for the sources and the compiler: numba itself looks only at the file of the outermost function.
    """
    sources = b"".join(path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py")))
    name = hashlib.sha256(sources + version("numba").encode()).hexdigest()[:16]
    root = os.environ.get("GREENWAVE_CACHE") or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "greenwave"
    folder = Path(root) / "compiled" / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    if not os.access(folder, os.W_OK | os.X_OK):
        return None
    settings: Any = numba.config  # its names are made at run time
    settings.CACHE_DIR = str(folder)
    return folder
