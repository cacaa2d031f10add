"""One of several wordings, chosen by what a row is about: a model must not learn one phrase, and the same file must give the same rows."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import TypeVar

from appliance.domain.conversation import Conversation, Message

Wording = TypeVar("Wording")


def chosen(wordings: Sequence[Wording], *about: str) -> Wording:
    """The wording for this content: equal contents get equal wordings, different ones any with the same likelihood."""
    return wordings[number(*about) % len(wordings)]


def number(*about: str) -> int:
    """A number of 64 bits that depends on the content alone."""
    digest = hashlib.blake2b(digest_size=8)
    for part in about:
        data = part.encode("utf-8", "surrogatepass")
        digest.update(b"%d:" % len(data) + data)
    return int.from_bytes(digest.digest(), "big")


def row(question: str, answer: str, source: str, labels: Mapping[str, str]) -> Conversation:
    """A question with its answer; ``labels`` say at least which ``task`` it is."""
    return Conversation((Message("user", question), Message("assistant", answer)), source, labels=dict(labels))
