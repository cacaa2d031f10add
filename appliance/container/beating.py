"""The supervisor's sign of life, and where the health check looks for it."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path


def heartbeat() -> Path:
    """The file whose time of change is the last sign of life; not on the volume, which may be full or shared."""
    return Path(tempfile.gettempdir()) / f"greenwave-alive-{os.getuid()}"


def beat() -> None:
    """Give a sign of life."""
    with suppress(OSError):
        heartbeat().touch()
