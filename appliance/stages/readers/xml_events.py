"""XML from a file that nobody vouches for: read as a stream by expat; a document type or an entity of its own is refused.

That leaves no way to fetch anything, to multiply text (billion laughs) or to read other files.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import IO
from xml.parsers import expat

from appliance.stages.readers.part import Unreadable

BLOCK = 1 << 16
DEEPEST = 256
"""Elements inside each other; documents of office programs have some dozens."""

Start = Callable[[str, dict[str, str]], None]


def parse(stream: IO[bytes], start: Start, end: Callable[[str], None], text: Callable[[str], None]) -> None:
    """Tell every element and text of one XML file; names come without their name space.

    Raises ``file_has_entities``, or ``file_damaged`` for what is no XML.
    """
    depth = 0

    def on_start(name: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > DEEPEST:
            raise Unreadable("file_damaged")
        start(_local(name), {_local(key): value for key, value in attributes.items()} if attributes else attributes)

    def on_end(name: str) -> None:
        nonlocal depth
        depth -= 1
        end(_local(name))

    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = on_start, on_end, text
    parser.StartDoctypeDeclHandler = parser.EntityDeclHandler = _refuse
    try:
        while block := stream.read(BLOCK):
            parser.Parse(block, False)
        parser.Parse(b"", True)
    except expat.ExpatError as error:
        raise Unreadable("file_damaged") from error


def _local(name: str) -> str:
    return name.rpartition(" ")[2]


def _refuse(*_declaration: object) -> None:
    raise Unreadable("file_has_entities")
