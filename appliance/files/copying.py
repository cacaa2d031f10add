"""Copying big files with a checksum taken on the way, so that what is recorded is what was read."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

CHUNK_BYTES = 4 << 20


def copy_hashed(source: Path, target: Path, tell: Callable[[int], None] = lambda _count: None) -> str:
    """Copy one file and give its SHA-256; ``tell`` hears the bytes of every chunk. The target must not exist."""
    digest = hashlib.sha256()
    with source.open("rb") as reading, target.open("xb") as writing:
        while chunk := reading.read(CHUNK_BYTES):
            writing.write(chunk)
            digest.update(chunk)
            tell(len(chunk))
        # What came from a medium will hardly be read again soon, and must not push out what is.
        os.posix_fadvise(reading.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    return digest.hexdigest()
