"""XML as a stream of elements with their lines: nothing is kept, and nothing that a document can ask a parser for is done.

A document type is refused at its first character, so that there are no entities to expand and no files to fetch; so are depth and tokens
that no simulator writes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from xml.parsers import expat

from appliance.domain.errors import ApplianceError

DEEPEST = 32
LONGEST_TOKEN = 4 << 20
"""Bytes between two events of the parser: the shape of the largest junction is far shorter."""
FEED = 1 << 16
"""Bytes that the parser is given at once."""


@dataclass(frozen=True, slots=True)
class Element:
    """A start tag, or with ``is_end`` an end tag without attributes."""

    name: str
    line: int
    depth: int
    """0 for the root."""
    attributes: Mapping[str, str] = field(default_factory=dict)
    is_end: bool = False


def elements(blocks: Iterator[bytes], name: str) -> Iterator[Element]:
    """Every start and end tag of a document in UTF-8, whatever encoding it declares.

    Raises ``xml_with_document_type``, ``xml_too_deep``, ``xml_token_too_long`` and ``xml_broken``, with the file's ``name`` and the line.
    """
    stream = _Stream(name)
    for block in blocks:
        for start in range(0, len(block), FEED):
            yield from stream.feed(block[start : start + FEED], is_last=False)
    yield from stream.feed(b"", is_last=True)


class _Stream:
    def __init__(self, name: str) -> None:
        self._name = name
        self._found: list[Element] = []
        self._depth = 0
        self._silence = 0
        self._heard = False
        self._parser = expat.ParserCreate("utf-8")
        self._parser.buffer_text = False
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CommentHandler = self._anything
        self._parser.CharacterDataHandler = self._anything
        self._parser.StartDoctypeDeclHandler = self._doctype

    def feed(self, data: bytes, is_last: bool) -> list[Element]:
        """What ends in this piece."""
        self._found, self._heard = [], False
        try:
            self._parser.Parse(data, is_last)
        except expat.ExpatError as error:
            raise ApplianceError("xml_broken", name=self._name, line=error.lineno, reason=expat.ErrorString(error.code)) from error
        self._silence = 0 if self._heard else self._silence + len(data)
        if self._silence > LONGEST_TOKEN:
            raise ApplianceError("xml_token_too_long", name=self._name, line=self._parser.CurrentLineNumber, limit=LONGEST_TOKEN)
        return self._found

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._heard = True
        if self._depth >= DEEPEST:
            raise ApplianceError("xml_too_deep", name=self._name, line=self._parser.CurrentLineNumber, limit=DEEPEST)
        self._found.append(Element(name, self._parser.CurrentLineNumber, self._depth, attributes))
        self._depth += 1

    def _end(self, name: str) -> None:
        self._heard = True
        self._depth -= 1
        self._found.append(Element(name, self._parser.CurrentLineNumber, self._depth, is_end=True))

    def _anything(self, _text: str) -> None:
        self._heard = True

    def _doctype(self, *_parts: object) -> None:
        raise ApplianceError("xml_with_document_type", name=self._name, line=self._parser.CurrentLineNumber)
