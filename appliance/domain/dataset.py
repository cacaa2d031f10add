"""A dataset: an immutable version of conversations or documents, with counts and a checksum."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

DatasetKind = Literal["conversations", "documents"]

ROWS_FILE = "rows.jsonl"
"""Accepted rows inside a dataset's folder, one conversation or document per line."""
REJECTED_FILE = "rejected.jsonl"
"""Rows that were not accepted, one ``Rejected`` per line."""
EXCERPT_CHARS = 200
"""Longest excerpt of a rejected row."""


class Rejected(msgspec.Struct, frozen=True, omit_defaults=True):
    """A row that is not part of the dataset, and why: nothing is left out without one of these."""

    line: int
    """Where the row begins in the file it was read from, counted from 1: its line, row, page, paragraph, or file of an archive."""
    reason: str
    """A key of the texts' ``problems``."""
    parameters: dict[str, Any]
    excerpt: str
    """The beginning of the row, printable characters only."""
    source: str = ""
    """Where the row first came from, for rows that an earlier step had accepted, and for files of which a line alone does not tell it."""
    element: int = 0
    """For files that are one JSON list: which element, counted from 1."""


def printable(text: str, limit: int = EXCERPT_CHARS) -> str:
    """The beginning of foreign text, everything that is not printable written as an escape: safe on any terminal."""
    text = text[: limit + 1]
    if not text.isprintable():
        text = "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
    return text if len(text) <= limit else text[: limit - 1] + "…"


class Dataset(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the registry; the files lie in ``path``."""

    id: str
    name: str
    kind: DatasetKind = "conversations"
    path: str
    sha256: str
    """Of ``rows.jsonl``."""
    size: int
    counts: dict[str, int] = {}
    """At least ``rows``; an import adds ``read``, ``accepted``, ``rejected``."""
    facts: dict[str, Any] = {}
    run_id: str | None = None
    created: float
    """Seconds since 1970, UTC."""
