"""What kind of file this is, by its first bytes and, for archives, by what lies in them; never by its name."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Literal

Medium = Literal["text", "spreadsheet", "docx", "pdf", "parquet", "zip", "gzip", "old_document", "foreign"]
"""``old_document`` is a file of the old binary Office that is no spreadsheet; ``foreign`` is known not to be readable."""

_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
"""Compound files: the binary Office formats, and encrypted files of the new ones."""
_WORKBOOK_STREAMS = tuple(name.encode("utf-16-le") for name in ("Workbook", "Book", "EncryptedPackage"))
_FOREIGN = (
    b"Rar!",
    b"7z\xbc\xaf\x27\x1c",
    b"{\\rtf",
    b"\x89PNG",
    b"\xff\xd8\xff",
    b"SQLite format 3\x00",
    b"\x7fELF",
    b"MZ\x90",
)
_HEAD = 1024


def medium_of(path: Path) -> Medium:
    """The kind of a file that can be read; what is nothing else is text until its encoding says otherwise."""
    with path.open("rb") as file:
        head = file.read(_HEAD)
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06", b"PK00PK\x03\x04")):
        return _archive(path)
    if head.startswith(_OLE):
        return "spreadsheet" if _holds_workbook(path) else "old_document"
    if head.startswith(b"\x1f\x8b"):
        return "gzip"
    if head.startswith(b"PAR1"):
        return "parquet"
    if b"%PDF-" in head:
        return "pdf"
    return "foreign" if head.startswith(_FOREIGN) else "text"


def _archive(path: Path) -> Medium:
    try:
        with zipfile.ZipFile(path) as archive:
            names = {name.lower() for name in archive.namelist()}
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return "zip"
    if "word/document.xml" in names:
        return "docx"
    is_workbook = names & {"xl/workbook.xml", "xl/workbook.bin"} or {"mimetype", "content.xml"} <= names
    return "spreadsheet" if is_workbook else "zip"


def _holds_workbook(path: Path) -> bool:
    # The directory of a compound file may lie anywhere in it; its entries are names in UTF-16.
    with path.open("rb") as file:
        before = b""
        while block := file.read(1 << 20):
            if any(name in before + block for name in _WORKBOOK_STREAMS):
                return True
            before = block[-64:]
    return False
