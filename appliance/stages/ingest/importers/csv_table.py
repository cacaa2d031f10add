"""Tables as text (CSV, TSV, semicolons, bars): the first record names the columns; the delimiter is found by trying.

Quoting as in RFC 4180: a field in double quotes may hold delimiters and line breaks, a quote inside it is doubled. An apostrophe that
stands before what a spreadsheet would take for a formula is no part of the cell, see ``domain/spreadsheet.py``.
"""

from __future__ import annotations

import csv
import itertools
from collections.abc import Iterator, Mapping

import msgspec

from appliance.domain.conversation import Conversation
from appliance.domain.dataset import Rejected
from appliance.domain.spreadsheet import unguarded
from appliance.stages.ingest import columns, pieces, records
from appliance.stages.ingest.importers import alpaca
from appliance.stages.ingest.importers.importer import Importer, Reading
from appliance.stages.ingest.refusal import MAX_ROW_BYTES, Refused, refused_whole, rejected
from appliance.stages.ingest.source import Source

DELIMITERS = (",", "\t", ";", "|")
SAMPLE_RECORDS = 20


class _Text:
    """Feeds ``csv.reader`` line by line and remembers what it was fed since the last record."""

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._lines = pieces.physical_lines(blocks)
        self.number = 0
        """Line that was fed last."""
        self.fed = bytearray()
        self.is_broken = False
        """A line of this record is not text in the file's encoding."""

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line, _, data, problem = next(self._lines)
        self.number = line
        self.fed += data
        if problem or len(self.fed) > MAX_ROW_BYTES:
            raise refused_whole("row_too_large")
        try:
            return data.decode() + "\n"
        except UnicodeDecodeError:
            self.is_broken = True
            return data.decode("utf-8", "backslashreplace") + "\n"

    def start_record(self) -> None:
        """Forget the last record."""
        self.fed = bytearray()
        self.is_broken = False


def recognise(source: Source, _asked: Mapping[str, str]) -> int:
    """How many of the first records have as many fields as the header, when the text is no JSON."""
    return _best_delimiter(source)[1] if records.container_of(source) == "other" else 0


def read(source: Source, asked: Mapping[str, str]) -> Reading:
    """One row per record after the header."""
    delimiter, _ = _best_delimiter(source)
    header = next((record for _, record, _ in _records(source.peek(), delimiter) if isinstance(record, list)), [])
    names = [name.strip() for name in header]
    mapping = columns.mapped(names, asked)
    places = {field: names.index(column) for field, column in mapping.items()}
    return Reading(_rows(source, delimiter, len(names), places), mapping)


def _rows(source: Source, delimiter: str, width: int, places: Mapping[str, int]) -> Iterator[Conversation | Rejected]:
    is_header = True
    for line, record, data in _records(source.blocks(), delimiter):
        if is_header:
            is_header = not isinstance(record, list)
            continue
        try:
            if isinstance(record, Refused):
                raise record
            if len(record) < width or any(record[width:]):
                raise Refused("row_fields_uneven", found=len(record), expected=width)
            cells = {field: unguarded(record[place]) for field, place in places.items()}
            messages = alpaca.messages_of(msgspec.convert(cells, alpaca.AlpacaRow))
        except Refused as verdict:
            yield rejected(verdict, line, 0, data)
        else:
            yield Conversation(messages, f"{source.name}:{line}")


def _records(blocks: Iterator[bytes], delimiter: str) -> Iterator[tuple[int, list[str] | Refused, bytes]]:
    """``(line where it begins, fields or the reason why there are none, its bytes)`` of every record that is not blank."""
    csv.field_size_limit(MAX_ROW_BYTES)
    text = _Text(blocks)
    reader = csv.reader(text, delimiter=delimiter, strict=True)
    while True:
        line = text.number + 1
        text.start_record()
        record: list[str] | Refused
        try:
            record = next(reader)
        except StopIteration:
            return
        except Refused as verdict:
            record = verdict
        except csv.Error:
            record = Refused("row_quotes_broken", lines=text.number - line + 1)
        if text.is_broken:
            record = Refused("row_encoding_broken")
        if isinstance(record, Refused) or any(field and not field.isspace() for field in record):
            yield line, record, bytes(text.fed)


def _best_delimiter(source: Source) -> tuple[str, int]:
    """The delimiter that gives the most records as wide as the header, and how many; 0 when none gives two columns."""
    best, best_score = DELIMITERS[0], (0, 0)
    for delimiter in DELIMITERS:
        sample = itertools.islice(_records(source.peek(), delimiter), SAMPLE_RECORDS)
        widths = [len(record) for _, record, _ in sample if isinstance(record, list)]
        if widths and widths[0] > 1:
            score = (widths.count(widths[0]), widths[0])
            best, best_score = (delimiter, score) if score > best_score else (best, best_score)
    return best, best_score[0]


IMPORTER = Importer("csv", recognise, read)
