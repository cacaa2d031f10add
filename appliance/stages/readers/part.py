"""What a reader says: one JSON line per part, and nothing else comes out of its process."""

from __future__ import annotations

from typing import Any

import msgspec


class Options(msgspec.Struct, frozen=True):
    """What a reader is told beside the file."""

    encoding: str = "utf-8"
    """Of a text."""
    only_beginning: bool = False
    """A look is enough: the reader may stop after ``BEGINNING`` rows, paragraphs or pages of every sheet."""


class Sheet(msgspec.Struct, frozen=True, tag="sheet"):
    """A table begins; what it is called, or an empty string."""

    name: str


class Rows(msgspec.Struct, frozen=True, tag="rows"):
    """Some rows of the table that was begun last, blank ones left out."""

    numbers: list[int]
    """Of each row, as a person sees it in the file, from 1."""
    rows: list[list[str]]


class Records(msgspec.Struct, frozen=True, tag="records"):
    """Some rows as JSON objects, each as it will be read, and numbered from the first on."""

    rows: list[msgspec.Raw]


class Paragraph(msgspec.Struct, frozen=True, tag="paragraph"):
    """A piece of running text that belongs together; never empty."""

    text: str
    place: str
    """Where it stands, such as ``p3`` or ``¶12``."""
    number: int
    """Of the page or paragraph, from 1."""
    level: int = 0
    """Of a heading, from 1; 0 for text."""
    page: bool = False
    """The paragraph is a whole page, which is a row by itself."""


class Unread(msgspec.Struct, frozen=True, tag="unread"):
    """A part of the file that is left out, and why."""

    place: str
    number: int
    reason: str
    parameters: dict[str, Any] = {}


class Refusal(msgspec.Struct, frozen=True, tag="refusal"):
    """The file cannot be read, or not further."""

    code: str
    """An error's code; the words are in the texts."""
    parameters: dict[str, Any] = {}


class Unreadable(Exception):
    """How a reader refuses a file; ``child`` makes a ``Refusal`` of it, and ``confined`` an error with the file's name."""

    def __init__(self, code: str, **parameters: Any) -> None:
        super().__init__(code)
        self.code = code
        self.parameters: dict[str, Any] = parameters


Part = Sheet | Rows | Records | Paragraph | Unread | Refusal

LONGEST = 1 << 20
"""Characters of a cell or paragraph; nothing longer can become a row."""
BEGINNING = 50
"""How many rows, paragraphs or pages a look is about."""
