"""Delimited text (commas, tabs, semicolons, bars): records of fields; the delimiter is found by trying.

Quoting as in RFC 4180: a field in double quotes may hold delimiters and line breaks, a quote inside it is doubled.
"""

from __future__ import annotations

import csv
import itertools
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from appliance.stages.ingest import pieces
from appliance.stages.ingest.refusal import MAX_ROW_BYTES, Refused, refused_whole
from appliance.stages.ingest.source import Source

DELIMITERS = (",", "\t", ";", "|")
SAMPLE_RECORDS = 20
SAMPLE_LINES = 5000
"""Lines, blank ones too, in which they are looked for."""


def records(blocks: Iterator[bytes], delimiter: str, most_lines: int | None = None) -> Iterator[tuple[int, list[str] | Refused, bytes]]:
    """``(line where it begins, fields or the reason why there are none, its bytes)`` of every record that is not blank.

    For a look, no more than ``most_lines`` lines are read.
    """
    csv.field_size_limit(MAX_ROW_BYTES)
    text = _Text(blocks, most_lines)
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
        elif 0 in text.fed:
            record = Refused("row_control_bytes")
        if isinstance(record, Refused) or any(field and not field.isspace() for field in record):
            yield line, record, bytes(text.fed)


class Delimiter(NamedTuple):
    """What divides the fields of a text."""

    sign: str
    even: int
    """How many of the first records have the same width with it; 0 when it gives no two columns."""
    is_even: bool
    """All of them have, and they are several: this is a table, whatever else is known."""


@lru_cache(maxsize=4)
def best_delimiter(source: Source) -> Delimiter:
    """The delimiter that gives the most of the first records the same width."""
    best, best_score = Delimiter(DELIMITERS[0], 0, False), (0, 0)
    for sign in DELIMITERS:
        sample = list(itertools.islice(records(source.peek(), sign, SAMPLE_LINES), SAMPLE_RECORDS))
        widths = Counter(len(record) for _, record, _ in sample if isinstance(record, list) and len(record) > 1)
        # Of widths that are equally frequent the first is the heading's.
        for width, count in widths.most_common(1):
            if (count, width) > best_score:
                best, best_score = Delimiter(sign, count, count == len(sample) > 1), (count, width)
    return best


class _Text:
    """Feeds ``csv.reader`` line by line and remembers what it was fed since the last record."""

    def __init__(self, blocks: Iterator[bytes], most_lines: int | None) -> None:
        self._lines = itertools.islice(pieces.physical_lines(blocks), most_lines)
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
