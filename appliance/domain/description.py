"""What a dataset looks like: counts, lengths, languages, forms, classes, and how alike its rows are. Computed by the stage ``describe``."""

from __future__ import annotations

from typing import Literal

import msgspec

VERSION = 1
"""Grows when the same rows would be described differently."""

LIMITS = (256, 512, 1024, 2048, 4096, 8192)
"""Longest lengths for which the rows beyond are counted."""

Language = Literal["zh", "en", "mixed", "other", "none"]
Form = Literal["short", "sentence", "paragraphs", "list", "table", "code", "json"]


class Lengths(msgspec.Struct, frozen=True, kw_only=True):
    """How long rows are, in the description's measure. Above 65,536 lengths are known to within 1 %."""

    total: int
    mean: float
    median: int
    p95: int
    longest: int
    histogram: tuple[tuple[int, int], ...]
    """(length up to which, rows), shortest first; the last bar reaches to the longest row."""
    beyond: tuple[tuple[int, int], ...]
    """(longest length, rows that are longer) for every one of ``LIMITS``."""


class Classes(msgspec.Struct, frozen=True, kw_only=True):
    """The values of one label."""

    rows: int
    """That have the label."""
    values: dict[str, int]
    """Rows by value, the commonest first; of very many values only the commonest."""
    others: int = 0
    """Rows with a value that is not among them."""


class Description(msgspec.Struct, frozen=True, kw_only=True):
    """One dataset in one measure."""

    version: int = VERSION
    measure: Literal["tokens", "characters"]
    """Tokens as training makes them, template and all; characters of the contents alone."""
    rows: int
    kinds: dict[str, int]
    """Rows that are ``conversations``, ``preferences`` (conversations with a worse answer, too) and ``documents``."""
    lengths: Lengths
    trained_tokens: int = 0
    """What the model has to say; 0 where characters are counted."""
    untrained_rows: int = 0
    """Rows without a trained token."""
    turns: dict[str, int]
    """Conversations by the number of their answers: ``1``, ``2``, ``3``, ``4+``."""
    with_system: int
    """Conversations that begin with a system turn."""
    languages: dict[Language, int]
    """Rows by language."""
    language_changes: int
    """Conversations whose last answer is in another language than its question, one Chinese and one English."""
    forms: dict[Form, int]
    """Conversations by the form of their last answer."""
    labels: dict[str, Classes]
    distinct_questions: int
    """Different first questions, without regard to white space and case."""
    distinct_answers: int
    """Different last answers."""
    commonest_opening: str
    """How the most first questions begin, digits written as 0."""
    commonest_opening_rows: int
    seconds: float
    """That describing took."""
