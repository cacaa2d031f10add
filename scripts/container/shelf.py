"""Folders that are complete or not there: made aside, then renamed; named for a hash of everything that shapes them."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from scripts.container.telling import Refused


def cache() -> Path:
    """Where images' parts are kept: ``$GREENWAVE_CACHE/image``, by default below ``~/.cache/greenwave``."""
    named = os.environ.get("GREENWAVE_CACHE")
    return Path(named or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "greenwave").absolute() / "image"


def shelf_room() -> Path:
    """A folder for what is only looked at, where shelves have their room."""
    cache().mkdir(parents=True, exist_ok=True)
    return cache()


def hash_of(ingredients: object) -> str:
    """Sixteen hexadecimal digits that stand for what can be written as JSON."""
    return hashlib.sha256(json.dumps(ingredients, sort_keys=True).encode()).hexdigest()[:16]


def hash_of_files(*paths: Path) -> str:
    """The same for the names and contents of files."""
    return hash_of([(path.name, sha256(path)) for path in paths])


def sha256(path: Path) -> str:
    """The checksum of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def shelf(kind: str, name: str, room: int, fill: Callable[[Path], None]) -> Path:
    """The folder ``KIND/NAME`` of the cache, filled first where it is not there. ``room`` is the bytes that filling needs.

    Several processes may ask at once: one fills, the others wait. Whatever ends a filling early leaves nothing that looks complete.
    """
    place = cache() / kind / name
    place.parent.mkdir(parents=True, exist_ok=True)
    with Path(f"{place}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not place.is_dir():
            free = shutil.disk_usage(place.parent).free
            if free < room:
                raise Refused(
                    f"This needs {room >> 20} MB in {place.parent}, and {free >> 20} MB are free.",
                    "make room there, or name another folder in GREENWAVE_CACHE.",
                    4,
                )
            partial = Path(f"{place}.partial")
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir()
            try:
                fill(partial)
                partial.replace(place)
            finally:
                shutil.rmtree(partial, ignore_errors=True)
    return place
