"""Files that SUMO packed while writing (``.xml.gz``), unpacked as a stream."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from pathlib import Path

from appliance.domain.errors import ApplianceError

BLOCK = 1 << 20
MOST_AT_ONCE = 4 << 20
"""Bytes that are unpacked before they are given out."""
HONEST_RATIO = 200
"""SUMO's XML is packed 10 to 40 times; a bomb a thousand times."""
ALWAYS_HONEST = 64 << 20
"""Bytes that are unpacked whatever the ratio."""


def unpacked(path: Path, name: str) -> Iterator[bytes]:
    """The text of a gzip file, its members one after another.

    Raises ``file_damaged``, ``file_is_bomb`` and ``source_unreadable``, with the file's ``name``.
    """
    read = written = 0
    decoder = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    try:
        with path.open("rb", buffering=0) as file:
            while data := file.read(BLOCK):
                read += len(data)
                while data:
                    if decoder.eof:
                        decoder = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
                    text = decoder.decompress(data, MOST_AT_ONCE)
                    data = decoder.unused_data if decoder.eof else decoder.unconsumed_tail
                    written += len(text)
                    if written > max(ALWAYS_HONEST, HONEST_RATIO * read):
                        raise ApplianceError("file_is_bomb", name=name, unpacked=written)
                    if text:
                        yield text
    except zlib.error as error:
        raise ApplianceError("file_damaged", name=name) from error
    except OSError as error:
        raise ApplianceError("source_unreadable", name=name) from error
    if not decoder.eof:
        raise ApplianceError("file_damaged", name=name)
