"""Tables of any medium: spreadsheets and delimited text become columns and rows of text, each with its place.

    for table in tables.read(source):
        for row in table.rows: …          # TableRow, or Rejected for what is no row

Tables are read one after another: the rows of one are to be used up, or left, before the next is asked for. It does not know what columns
mean; ``sample`` gives the beginnings alone, for those who must recognise a file.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain, islice
from typing import NamedTuple

import msgspec

from appliance.domain.dataset import Rejected, printable
from appliance.stages.ingest import confined, delimited
from appliance.stages.ingest.header import HIGHEST_HEADER, Header, Wanted, find_header
from appliance.stages.ingest.refusal import Refused, rejected
from appliance.stages.ingest.source import Source
from appliance.stages.readers.part import Options, Part, Rows, Sheet, Unread

READERS: Mapping[str, str] = {"spreadsheet": "spreadsheet"}
"""Medium → the reader that finds tables in it. A text is read here."""


class TableRow(NamedTuple):
    """One record."""

    number: int
    """Line or row where it begins, as a person counts in the file, from 1."""
    place: str
    """``FILE:LINE`` or ``FILE:SHEET:ROW``: what a row made of it gets as its source."""
    cells: list[str]
    """As many as there are columns; an empty one is an empty text."""


@dataclass(frozen=True)
class Table:
    """One table of a file."""

    name: str
    """Of its sheet; empty for a file that is one table."""
    columns: tuple[str, ...]
    """Headings without white space around them; a column without one has an empty heading."""
    rows: Iterator[TableRow | Rejected]
    place: str = ""
    """``FILE`` or ``FILE:SHEET``."""
    above: int = 0
    """Records above the headings, such as a title; they are no rows."""


@dataclass(frozen=True)
class Sample:
    """The beginning of a table."""

    name: str
    columns: tuple[str, ...]
    rows: list[list[str]]
    """Good records below the heading."""


class Record(NamedTuple):
    """What stands between two rows' ends, before anybody knows which is the heading."""

    number: int
    cells: list[str]
    refused: Refused | None = None
    data: bytes = b""
    """Its bytes, for the excerpt of a refused one."""


SAMPLE_RECORDS = 50
"""How many records of each table a sample holds."""


def read(source: Source, wanted: Wanted = lambda _names: False) -> Iterator[Table]:
    """Every table of the file that has records.

    ``wanted`` knows a heading by its names, for tables that begin with something else. Raises the reader's errors. The file's checksum and
    progress are complete at the end.
    """
    if source.medium == "text":
        yield from _tables(source, iter([("", _from_text(source, source.blocks()))]), wanted)
    else:
        source.pass_over()
        yield from _tables(source, _sheets(source, Options()), wanted)


def sample(source: Source, wanted: Wanted = lambda _names: False) -> list[Sample]:
    """The beginnings of all tables; empty for a file that has none. Raises the reader's errors."""
    tables = _tables(source, ((name, iter(records)) for name, records in _beginnings(source)), wanted)
    return [Sample(table.name, table.columns, [row.cells for row in table.rows if isinstance(row, TableRow)]) for table in tables]


@lru_cache(maxsize=4)
def _beginnings(source: Source) -> list[tuple[str, list[Record]]]:
    if source.medium == "text":
        return [("", list(islice(_from_text(source, source.peek(), delimited.SAMPLE_LINES), SAMPLE_RECORDS)))]
    if source.medium not in READERS:
        return []
    return [(name, list(islice(records, SAMPLE_RECORDS))) for name, records in _sheets(source, Options(only_beginning=True))]


def _tables(source: Source, sheets: Iterator[tuple[str, Iterator[Record]]], wanted: Wanted) -> Iterator[Table]:
    for name, records in sheets:
        first = list(islice(records, HIGHEST_HEADER))
        if not first:
            continue
        # Without a single good record there is no heading, and every record is told as what it is.
        header = find_header([record.cells for record in first], wanted) or Header(0, 0, ())
        place = ":".join(filter(None, (source.name, printable(name, 60))))
        yield Table(name, header.names, _rows(place, chain(first, records), header), place, header.first)


def _rows(place: str, records: Iterator[Record], header: Header) -> Iterator[TableRow | Rejected]:
    width = len(header.names)
    for position, record in enumerate(records):
        cells = record.cells
        if record.refused is None:
            if position < header.end:
                continue
            if len(cells) == width:
                yield TableRow(record.number, f"{place}:{record.number}", cells)
                continue
            if len(cells) > width and not any(cells[width:]):
                yield TableRow(record.number, f"{place}:{record.number}", cells[:width])
                continue
        verdict = record.refused or Refused("row_fields_uneven", found=len(cells), expected=width)
        data = record.data or " ".join(cells).encode("utf-8", "surrogatepass")
        yield msgspec.structs.replace(rejected(verdict, record.number, 0, data), source=f"{place}:{record.number}")


def _from_text(source: Source, blocks: Iterator[bytes], most_lines: int | None = None) -> Iterator[Record]:
    for line, record, data in delimited.records(blocks, delimited.best_delimiter(source).sign, most_lines):
        yield Record(line, [], record, data) if isinstance(record, Refused) else Record(line, record, None, data)


def _sheets(source: Source, options: Options) -> Iterator[tuple[str, Iterator[Record]]]:
    """Each sheet with its records; what is left of one is passed over before the next begins."""
    found = confined.parts(source, READERS[source.medium], options)
    with closing(found):
        part = next(found, None)
        while part is not None:
            assert isinstance(part, Sheet)
            sheet = _Sheet(found)
            yield part.name, sheet.records()
            part = sheet.next_sheet()


class _Sheet:
    """The records between one ``Sheet`` and the next."""

    def __init__(self, parts: Iterator[Part]) -> None:
        self._parts = parts
        self._next: Sheet | None = None
        self._ended = False

    def records(self) -> Iterator[Record]:
        """Every record; a row that is larger than any row may be is refused."""
        while (part := self._part()) is not None:
            if isinstance(part, Unread):
                yield Record(part.number, [], Refused(part.reason, **part.parameters))
            elif isinstance(part, Rows):
                for number, cells in zip(part.numbers, part.rows, strict=True):
                    yield Record(number, cells)

    def next_sheet(self) -> Sheet | None:
        """What comes behind this sheet; None at the end of the file."""
        while self._part() is not None:
            pass
        return self._next

    def _part(self) -> Part | None:
        part = None if self._ended else next(self._parts, None)
        if part is None or isinstance(part, Sheet):
            self._next = self._next or part
            self._ended = True
            return None
        return part
