"""Documents that are zip archives inside (XLSX, DOCX): looked at before any library opens them.

A bomb is small and becomes huge. What an archive says of itself can be a lie, so the address-space limit of the reader stays behind this.
"""

from __future__ import annotations

import zipfile
from pathlib import Path

from appliance.stages.readers.part import Unreadable

LARGEST = 4 << 30
"""Bytes of all entries together, unpacked."""
HONEST_RATIO = 200
"""Text and XML are packed 5 to 50 times; a bomb a thousand times and more."""
ALWAYS_HONEST = 32 << 20
"""Bytes that are unpacked whatever the ratio: a small file of one repeated row is odd, but harmless."""
MOST_ENTRIES = 20_000

_ENCRYPTED_STREAM = "EncryptedPackage".encode("utf-16-le")


def refuse_bomb(path: Path) -> None:
    """Raise ``file_is_bomb`` for a document whose archive unpacks to more than anybody wrote, ``file_damaged`` for a broken one.

    A file that is no archive (the old binary formats) passes.
    """
    with path.open("rb") as file:
        if not file.read(4).startswith(b"PK"):
            return
    try:
        with zipfile.ZipFile(path) as opened:
            entries = opened.infolist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError, UnicodeDecodeError) as error:
        raise Unreadable("file_damaged") from error
    unpacked = sum(entry.file_size for entry in entries)
    packed = sum(entry.compress_size for entry in entries)
    # Entries that share their bytes are packed more than the file is long.
    is_bomb = unpacked > max(ALWAYS_HONEST, HONEST_RATIO * path.stat().st_size) or packed > 2 * path.stat().st_size
    if is_bomb or unpacked > LARGEST or len(entries) > MOST_ENTRIES:
        raise Unreadable("file_is_bomb", unpacked=unpacked)
    if any(entry.flag_bits & 1 for entry in entries):
        raise Unreadable("file_encrypted")


def is_encrypted(path: Path) -> bool:
    """Whether this is a document of a new format behind a password: a compound file that holds it as one encrypted stream."""
    before = b""
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            if _ENCRYPTED_STREAM in before + block:
                return True
            before = block[-64:]
    return False
