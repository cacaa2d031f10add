"""JSON files of rows: one object per line, or one list of objects. Knows nothing of what the objects mean."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any, Literal, TypeVar

import msgspec

from appliance.domain.conversation import Conversation, Message
from appliance.domain.dataset import Rejected
from appliance.stages.ingest import pieces
from appliance.stages.ingest.refusal import Refused, refused_by_decoder, refused_whole, rejected
from appliance.stages.ingest.source import Source

Row = TypeVar("Row")
Container = Literal["lines", "list", "other"]

SAMPLE_ROWS = 50
"""How many rows a file is recognised by."""

_DECODER_ERRORS = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def container_of(source: Source) -> Container:
    """``list`` for text that begins with ``[``, ``lines`` with ``{``; anything else is not JSON rows."""
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
    for piece in itertools.islice(_pieces(source, source.peek()), 20 * SAMPLE_ROWS):
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
    decode = msgspec.json.Decoder(row_type).decode
    for line, element, data, problem in _pieces(source, source.blocks()):
        try:
            if problem:
                raise refused_whole(problem)
            row = decode(data)
            messages, worse = turns_of(row), worse_of(row)
        except Refused as verdict:
            yield rejected(verdict, line, element, data)
        except _DECODER_ERRORS as error:
            yield rejected(refused_by_decoder(error, data), line, element, data)
        else:
            yield Conversation(messages, f"{source.name}:{line}#{element}" if element else f"{source.name}:{line}", worse)


def _is_whole(data: bytes) -> bool:
    try:
        msgspec.json.decode(data)
    except _DECODER_ERRORS:
        return False
    return True


def _pieces(source: Source, blocks: Iterator[bytes]) -> Iterator[pieces.Piece]:
    return pieces.elements(blocks) if container_of(source) == "list" else pieces.lines(blocks)
