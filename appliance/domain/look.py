"""A look at a foreign file: what an import would read, before anything is made."""

from __future__ import annotations

from typing import Any

import msgspec

from appliance.domain.dataset import DatasetKind, Rejected


class Headings(msgspec.Struct, frozen=True):
    """The columns of one table of the file."""

    table: str
    """Name of the sheet; empty for a file that is one table."""
    names: tuple[str, ...]


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """What was recognised, with the first rows as they would become."""

    name: str
    """Of the file, printable."""
    size: int
    """Bytes."""
    medium: str
    """Kind of file: ``text``, ``spreadsheet``, ``docx``, ``pdf``, ``parquet``, ``zip``."""
    format: str
    """Name of the importer, or ``zip``."""
    formats: tuple[str, ...] = ()
    """Names of the importers that a file of this kind could be read by; empty for what holds several files."""
    kind: DatasetKind
    encoding: str
    """Of a text; empty for what has none."""
    columns: dict[str, str]
    """Our field → the file's column, as it was asked for or guessed."""
    headings: tuple[Headings, ...] = ()
    """All columns that there are to choose from; empty for what has none."""
    entries: dict[str, int] = {}
    """Of an archive: how many files would be read by which importer."""
    rows: tuple[dict[str, Any], ...]
    """The first rows that would be accepted."""
    rejected: tuple[Rejected, ...]
    """The first that would not."""
