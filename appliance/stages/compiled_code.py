"""Where machine code that numba makes is kept between runs."""

from __future__ import annotations

import hashlib
import os
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numba


def use_cache_for(sources: Path) -> Path | None:
    """The folder for what is compiled from a folder's sources, told to numba; None where there is no folder to write to.

    Then each process compiles anew. Call it right before functions are handed to numba, which looks at this setting at that moment.
    """
    folder = _folder_for(sources)
    if folder is not None:
        settings: Any = numba.config  # its names are made at run time
        settings.CACHE_DIR = str(folder)
    return folder


def _folder_for(sources: Path) -> Path | None:
    """Named for the sources and the compiler: numba itself looks only at the file of the outermost function."""
    contents = b"".join(path.read_bytes() for path in sorted(sources.glob("*.py")))
    name = hashlib.sha256(contents + version("numba").encode()).hexdigest()[:16]
    root = os.environ.get("GREENWAVE_CACHE") or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "greenwave"
    folder = Path(root) / "compiled" / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    return folder if os.access(folder, os.W_OK | os.X_OK) else None
