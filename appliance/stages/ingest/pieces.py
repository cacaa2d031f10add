"""Cutting a text into rows before anything is decoded: lines of a file, or the elements of one JSON list.

Both work on blocks in bounded memory, know the line where a row begins, and go on behind a row that is damaged or too large. (ijson is
faster still, but it knows no positions, ends at the first damage and keeps a string of any length.)
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from appliance.stages.ingest.refusal import MAX_ROW_BYTES

HEAD = 1 << 10
"""Bytes that are kept of a row that is too large, for its excerpt."""


class Piece(NamedTuple):
    """One row as it stands in the file."""

    line: int
    """Where it begins, from 1."""
    element: int
    """Which element of a list it is, from 1; 0 for lines."""
    data: bytes
    problem: str = ""
    """Why ``data`` is not the whole row: a reason code."""


_line = Piece._make
"""Without the words of a constructor, which would take a tenth of the time of reading."""


def lines(blocks: Iterator[bytes]) -> Iterator[Piece]:
    """Every line that is not blank."""
    return (piece for piece in physical_lines(blocks) if piece.data and (piece.problem or not piece.data.isspace()))


def physical_lines(blocks: Iterator[bytes]) -> Iterator[Piece]:
    """Every line, blank ones too, without its newline."""
    number, rest, is_skipping = 0, b"", False
    for block in blocks:
        pieces = block.split(b"\n")
        if not is_skipping:
            pieces[0] = rest + pieces[0]
        elif len(pieces) > 1:
            number += 1
            yield Piece(number, 0, rest, "row_too_large")
            pieces, is_skipping = pieces[1:], False
        else:
            continue
        rest = pieces.pop()
        for data in pieces:
            number += 1
            if len(data) > MAX_ROW_BYTES:
                yield Piece(number, 0, data[:HEAD], "row_too_large")
            else:
                yield _line((number, 0, data, ""))
        if len(rest) > MAX_ROW_BYTES:
            rest, is_skipping = rest[:HEAD], True
    if is_skipping:
        yield Piece(number + 1, 0, rest, "row_too_large")
    elif rest:
        yield Piece(number + 1, 0, rest)


def elements(blocks: Iterator[bytes]) -> Iterator[Piece]:
    """Every element of the one JSON list that the text is; the text must begin with ``[``."""
    splitter = _Splitter()
    for block in blocks:
        yield from splitter.feed(block)
    yield from splitter.finish()


_BEFORE_ELEMENT = re.compile(rb"[\s,]*+")
_STRING_REST = re.compile(rb'[^"\\]*+(?:\\.[^"\\]*+)*+', re.DOTALL)
_TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[\[\]{}"]', re.DOTALL)
_BARE_WORD_END = re.compile(rb'[\s,\]\[{}"]')
_OPENING, _CLOSING, _QUOTE = b"[{", b"]}", ord('"')


class _Splitter:
    """Finds where each element of a list ends by brackets and strings alone; state is kept between blocks, nothing is scanned twice."""

    def __init__(self) -> None:
        self._data = b""
        self._begun = False
        """The list's ``[`` has been passed."""
        self._ended = False
        """The list's ``]`` has been passed."""
        self._inside = False
        """``_data`` begins with an element whose end is still to be found."""
        self._scanned = 0
        self._depth = 0
        self._in_string = False
        self._head = b""
        """Beginning of an element that is too large."""
        self._is_bare = False
        """The element is a number or a word."""
        self._line = 1
        """Line of what lies at the start of ``_data``."""
        self._begin = 1
        """Line where the element begins."""
        self._element = 0

    def feed(self, block: bytes) -> Iterator[Piece]:
        """The elements that end in this block."""
        self._data += block
        start = 0
        while True:
            if not self._inside:
                start, self._inside = self._find_element(start)
                self._scanned = start
            if not self._inside:
                break
            end = self._find_end(start)
            if end < 0:
                break
            yield self._piece(start, end)
            start = end
        self._drop(start)

    def finish(self) -> Iterator[Piece]:
        """What is left when the text ends before the list is closed."""
        if self._inside and self._ended:
            yield Piece(self._begin, self._element, (self._head or self._data)[:HEAD], "row_after_list")
        elif self._inside:
            yield Piece(self._begin, self._element, (self._head or self._data)[:HEAD], "row_cut_off")
        elif not self._ended:
            yield Piece(self._line, self._element + 1, b"", "row_cut_off")

    def _find_element(self, start: int) -> tuple[int, bool]:
        """Position of the next element and True, or of the end of what could be passed over and False."""
        end = _BEFORE_ELEMENT.match(self._data, start).end()  # type: ignore[union-attr]  # the pattern matches nothing, too
        self._line += self._data.count(b"\n", start, end)
        if end == len(self._data):
            return end, False
        if not self._begun:
            self._begun = True
            return self._find_element(end + 1)
        if self._data[end] == _CLOSING[0] and not self._ended:
            self._ended = True
            return self._find_element(end + 1)
        self._is_bare, self._begin = self._data[end] not in b'[{"', self._line
        self._element += 1
        return end, True

    def _find_end(self, start: int) -> int:
        """Position behind the element that begins at ``start``, or -1 with ``_scanned`` set to where to go on."""
        if self._ended:
            # Whatever follows the list is one refused row up to the end of the file.
            self._scanned = len(self._data)
            return -1
        if self._is_bare:
            # At least one character, so that a stray bracket does not stand still.
            word = _BARE_WORD_END.search(self._data, max(self._scanned, start + 1))
            self._scanned = len(self._data)
            return word.start() if word else -1
        if self._in_string:
            rest = _STRING_REST.match(self._data, self._scanned).end()  # type: ignore[union-attr]  # matches nothing, too
            if rest >= len(self._data) or self._data[rest] != _QUOTE:
                self._scanned = rest
                return -1
            self._scanned, self._in_string = rest + 1, False
            if self._depth == 0:
                return self._scanned
        return self._find_closing()

    def _find_closing(self) -> int:
        data, depth = self._data, self._depth
        for token in _TOKEN.finditer(data, self._scanned):
            begin, end = token.span()
            kind = data[begin]
            if kind in _OPENING:
                depth += 1
            elif kind in _CLOSING:
                depth -= 1
            elif end - begin == 1:
                self._in_string = True
                self._scanned, self._depth = end, depth
                return -1
            if depth <= 0:
                self._depth = 0
                return end
        self._scanned, self._depth = len(data), depth
        return -1

    def _piece(self, start: int, end: int) -> Piece:
        data, head = self._data[start:end], self._head
        self._line += data.count(b"\n")
        self._inside, self._head = False, b""
        if head or len(data) > MAX_ROW_BYTES:
            return Piece(self._begin, self._element, head or data[:HEAD], "row_too_large")
        return Piece(self._begin, self._element, data)

    def _drop(self, start: int) -> None:
        """Forget what lies before ``start``, and all but the head of an element that has become too large."""
        if self._inside and (self._head or self._scanned - start > MAX_ROW_BYTES):
            self._head = self._head or self._data[start : start + HEAD]
            self._line += self._data.count(b"\n", start, self._scanned)
            start = self._scanned
        self._data = self._data[start:]
        self._scanned = max(0, self._scanned - start)
