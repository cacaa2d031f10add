"""A little room on the volume that is given back when everything else is full, so that people can still look around and remove things.

SQLite cannot even open its database for reading on a disk without a byte left.
"""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path

RESERVE = 2 << 20
"""Bytes."""
TOO_LITTLE = 256 << 10
"""Free bytes below which it is given back."""
PLENTY = 4 * RESERVE
"""Free bytes above which it is taken (again)."""


def look_after_reserve(root: Path) -> None:
    """Take or give back the reserve, whichever the free space asks for; a volume that cannot be written is left as it is."""
    place = root / "reserve"
    with suppress(OSError):
        free = shutil.disk_usage(root).free
        if free < TOO_LITTLE:
            place.unlink(missing_ok=True)
        elif free > PLENTY and not place.exists():
            descriptor = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o640)
            try:
                os.posix_fallocate(descriptor, 0, RESERVE)
            finally:
                os.close(descriptor)
