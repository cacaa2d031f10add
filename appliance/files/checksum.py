"""Checksums of files and folders (SHA-256, hexadecimal)."""

from __future__ import annotations

import hashlib
from pathlib import Path


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


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
