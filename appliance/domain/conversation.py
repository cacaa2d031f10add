"""One training example: messages with roles, and the hash that identifies it."""

from __future__ import annotations

import hashlib
from typing import Literal

import msgspec

Role = Literal["system", "user", "assistant"]


class Message(msgspec.Struct, frozen=True):
    """One turn of a conversation."""

    role: Role
    content: str


class Conversation(msgspec.Struct, frozen=True, omit_defaults=True):
    """Messages that begin with an optional system turn, then alternate user and assistant, and end with the assistant."""

    messages: tuple[Message, ...]
    source: str = ""
    """Where the row came from, as ``file:line``."""
    rejected: str = ""
    """Another answer to the last question, which people like less than the one in ``messages``; empty for none."""
    labels: dict[str, str] = {}
    """What is known about the row, such as its task or class; no part of what is trained."""

    def content_hash(self) -> bytes:
        """16 bytes that depend on roles, contents and the rejected answer: equal rows from different places are equal."""
        digest = hashlib.blake2b(digest_size=16)
        for message in self.messages:
            # Lengths first, so that no shift of text between turns gives the same bytes.
            content = message.content.encode("utf-8", "surrogatepass")
            digest.update(b"%s:%d:" % (message.role.encode(), len(content)))
            digest.update(content)
        if self.rejected:
            digest.update(b"rejected:" + self.rejected.encode("utf-8", "surrogatepass"))
        return digest.digest()


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Conversation)


def to_json(conversation: Conversation) -> bytes:
    """A conversation as one line of JSON, without the newline."""
    return _encoder.encode(conversation)


def from_json(line: bytes) -> Conversation:
    """The conversation of one JSON line; raises ``msgspec.DecodeError`` if it is none."""
    return _decoder.decode(line)
