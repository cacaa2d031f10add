"""Rows of JSON: one object per line, one list of objects, or the rows of a Parquet file. Knows nothing of what the objects mean."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any, Literal, TypeVar

import msgspec

from appliance.domain.conversation import Conversation, Message
from appliance.domain.dataset import Rejected
from appliance.domain.document import Document
from appliance.stages.ingest import confined, pieces
from appliance.stages.ingest.refusal import MAX_ROW_BYTES, Refused, refused_by_decoder, refused_whole, rejected
from appliance.stages.ingest.source import Source
from appliance.stages.readers.part import Options, Records, Unread

Row = TypeVar("Row")
Made = TypeVar("Made", Conversation, Document)
Container = Literal["lines", "list", "other"]

SAMPLE_ROWS = 50
"""How many rows a file is recognised by."""

_LIST = re.compile(rb"\s*\[\s*[\[{\]\"0-9tfn-]")
_DECODER_ERRORS = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


@lru_cache(maxsize=4)
def container_of(source: Source) -> Container:
    """``list`` for text that begins with ``[``, ``lines`` with ``{``; anything else is not JSON rows."""
    if source.medium == "parquet":
        return "lines"
    first, second = (*itertools.islice(pieces.lines(source.peek()), 2), None, None)[:2]
    begin = first.data.lstrip()[:1] if first else b""
    if begin == b"[" and second and second.data.lstrip().startswith(b"{"):
        # The list may be a bad row among lines; a list over several lines cannot be whole after its first.
        return "lines" if first and _is_whole(first.data) else "list"
    return "list" if begin == b"[" else "lines" if begin == b"{" else "other"


@lru_cache(maxsize=1)
def sample_of(source: Source) -> list[dict[str, Any]]:
    """The first objects of the file, broken rows passed over; empty when it holds none."""
    found: list[dict[str, Any]] = []
    for piece in itertools.islice(_pieces(source, _peek(source)), 20 * SAMPLE_ROWS):
        try:
            record = None if piece.problem else msgspec.json.decode(piece.data)
        except _DECODER_ERRORS:
            continue
        if isinstance(record, dict):
            found.append(record)
        if len(found) == SAMPLE_ROWS:
            break
    return found


def converted(
    source: Source,
    row_type: type[Row],
    turns_of: Callable[[Row], tuple[Message, ...]],
    worse_of: Callable[[Row], str] = lambda _row: "",
) -> Iterator[Conversation | Rejected]:
    """Every row of the file: decoded as ``row_type`` and turned into a conversation, or rejected with its reason.

    ``worse_of`` gives the answer that people like less, for rows that have one.
    """
    return rows_of(source, row_type, lambda row, place: Conversation(turns_of(row), place, worse_of(row)))


def rows_of(source: Source, row_type: type[Row], make: Callable[[Row, str], Made]) -> Iterator[Made | Rejected]:
    """Every row of the file: decoded as ``row_type`` and made into what ``make`` makes of it and its place, or rejected with its reason."""
    decode = msgspec.json.Decoder(row_type).decode
    for line, element, data, problem in _pieces(source, blocks(source)):
        try:
            if problem:
                raise refused_whole(problem)
            made = make(decode(data), f"{source.name}:{line}#{element}" if element else f"{source.name}:{line}")
        except Refused as verdict:
            yield rejected(verdict, line, element, data)
        except _DECODER_ERRORS as error:
            yield rejected(refused_by_decoder(error, data), line, element, data)
        else:
            yield made


def blocks(source: Source) -> Iterator[bytes]:
    """The rows as UTF-8 text, to be read once and to the end: of a text the text, of Parquet a line of JSON for each row."""
    if source.medium != "parquet":
        return source.blocks()
    source.pass_over()
    return _unpacked(source, Options())


def _peek(source: Source) -> Iterator[bytes]:
    return source.peek() if source.medium != "parquet" else _unpacked(source, Options(only_beginning=True))


def _unpacked(source: Source, options: Options) -> Iterator[bytes]:
    for part in confined.parts(source, "parquet", options):
        if isinstance(part, Records):
            yield b"".join(bytes(row) + b"\n" for row in part.rows)
        elif isinstance(part, Unread):
            # Something that is longer than any row: it is listed where it stands, and no line number shifts.
            yield b" " * MAX_ROW_BYTES + b"{\n"


def is_json_value(source: Source) -> bool:
    """Whether the text is a single number, string or word of JSON."""
    beginning = next(source.peek(), b"")
    return len(beginning) < 4096 and _is_whole(beginning)


def looks_like_rows(source: Source) -> bool:
    """Whether a text that begins like JSON goes on so: an object, a list of anything but words, or what is meant to be one."""
    return container_of(source) == "lines" or bool(_LIST.match(next(source.peek(), b"")))


def _is_whole(data: bytes) -> bool:
    try:
        msgspec.json.decode(data)
    except _DECODER_ERRORS:
        return False
    return True


def _pieces(source: Source, blocks: Iterator[bytes]) -> Iterator[pieces.Piece]:
    return pieces.elements(blocks) if container_of(source) == "list" else pieces.lines(blocks)
