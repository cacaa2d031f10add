"""One plain text for continued pre-training: all of it is learned, from its beginning to its end."""

from __future__ import annotations

import hashlib

import msgspec


class Document(msgspec.Struct, frozen=True, omit_defaults=True):
    """A text, however long."""

    text: str
    source: str = ""
    """Where the row came from, as ``file:line``."""
    labels: dict[str, str] = {}
    """What is known about the text besides what it says, such as its class: name → value. No part of its identity."""

    def content_hash(self) -> bytes:
        """16 bytes that depend on the text alone."""
        return hashlib.blake2b(self.text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
