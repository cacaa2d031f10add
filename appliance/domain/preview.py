"""What the model will learn from one row: its exact tokens, which of them are trained, and what a longest length does to them."""

from __future__ import annotations

from typing import Literal

import msgspec

Fate = Literal["whole", "cut", "too_long", "refused", "untrained", "pieces"]
"""What becomes of the row: trained whole, trained up to a cut, left out or refused for its length, left out because nothing of it
is trained, or, for a document, trained as several rows that overlap by one token."""


class TokenQuestion(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which row is asked about, and how it would be trained."""

    base: str
    """Folder of the base's tokenizer."""
    adapter: str = ""
    """Folder of an adapter, which may bring a tokenizer of its own; empty for none."""
    rows: str
    """Path of a ``rows.jsonl``."""
    begin: int
    """Where the row's line begins in it, in bytes."""
    size: int
    """Bytes of the line."""
    max_length: int
    """Longest row in tokens."""
    long_rows: Literal["leave_out", "refuse", "cut"] = "leave_out"
    first: int = 0
    """The first token that is wanted, of each part."""
    count: int = 4096
    """How many tokens are wanted from there, of each part."""


class TokenPart(msgspec.Struct, frozen=True, kw_only=True):
    """One sequence of tokens; a preference has two, everything else one."""

    role: Literal["conversation", "document", "better", "worse"]
    total: int
    """Tokens altogether."""
    trained_total: int
    """How many of them the model has to say, before anything is cut."""
    kept: int
    """How many tokens from the beginning are trained on or read; 0 when the row is left out."""
    turns: int
    """Answers, or for a document its end: what should be closed by a token that ends it."""
    turns_ended: int
    """How many of them end with such a token that is trained and not cut off."""
    first: int
    """Place of the first token below in the whole sequence."""
    ids: tuple[int, ...]
    texts: tuple[str, ...]
    """What each token stands for; empty for one that goes on with a character which the one before began."""
    trained: tuple[bool, ...]


class TokenPreview(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to a ``TokenQuestion``."""

    fate: Fate
    end_of_turn: str
    """What ends an answer, or a document; empty for a base without such a token."""
    starts: tuple[int, ...] = ()
    """Of a document in pieces: the token each piece begins with."""
    parts: tuple[TokenPart, ...]
