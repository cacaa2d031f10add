"""Checksums of files and folders (SHA-256, hexadecimal)."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

_AT_ONCE = 8 << 20
"""Bytes: while so many are read or hashed other threads run, and after each Python may let this one wait for 5 ms."""


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    digest = hashlib.sha256()
    with path.open("rb", buffering=0) as file:
        buffer = memoryview(bytearray(min(_AT_ONCE, max(1, os.fstat(file.fileno()).st_size))))
        while count := file.readinto(buffer):
            digest.update(buffer[:count])
    return digest.hexdigest()


def folder_manifest(folder: Path, leave_out: frozenset[str] = frozenset()) -> dict[str, str]:
    """``{relative name: sha256}`` of every file below ``folder``, sorted by name."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    names = {path: path.relative_to(folder).as_posix() for path in files}
    return {name: file_sha256(path) for path, name in names.items() if name not in leave_out}


def manifest_sha256(manifest: dict[str, str]) -> str:
    """One checksum for a whole folder: of its sorted ``sha256  name`` lines, as ``sha256sum`` prints them."""
    lines = "".join(f"{digest}  {name}\n" for name, digest in sorted(manifest.items()))
    return hashlib.sha256(lines.encode()).hexdigest()


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files below a folder."""
    if path.is_dir():
        return sum(entry.stat().st_size for entry in path.rglob("*") if entry.is_file())
    return path.stat().st_size
