"""Vocabulary expansion before a training: which terms become tokens, and what that saves on the rows, told before the base is loaded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from appliance.domain.conversation import Message
from appliance.domain.errors import ApplianceError, ExitCode
from appliance.domain.event import Emit, Notice, Progress, Started
from appliance.domain.methods import METHODS
from appliance.files.rows import read_rows_as
from appliance.inference.wording import plain_text
from appliance.stages.language_model.new_tokens import NewTokens, add_tokens

_TEXTS_AT_ONCE = 512


@dataclass(frozen=True)
class Expansion:
    """A tokenizer that has learned words."""

    tokenizer: Any
    new: NewTokens
    before: int
    """Tokens of the training texts with the base's tokenizer."""
    after: int
    """Tokens of the same texts now."""

    def facts(self) -> dict[str, Any]:
        """For the record of the result."""
        return {"new_tokens": len(self.new.pieces), "text_tokens_before": self.before, "text_tokens": self.after}


class _Row(msgspec.Struct):
    """The texts of a row of either kind."""

    messages: tuple[Message, ...] = ()
    text: str = ""
    rejected: str = ""

    def texts(self) -> list[str]:
        """All that is written in it, as the model reads it."""
        written = (*(message.content for message in self.messages), self.text, self.rejected)
        return [plain_text(text) for text in written if text]


def expand(tokenizer: Any, terms: Sequence[str], rows: Path, method: str, emit: Emit) -> Expansion | None:
    """Add the terms that the tokenizer splits, and tell tokens before and after; None when no term is new to it.

    Raises ``terms_need_other_method`` for a method that trains no rows of the embedding.
    """
    if not terms:
        return None
    if not (METHODS[method].low_rank or METHODS[method].whole_model):
        alternative = METHODS[METHODS[method].alternative].title
        raise ApplianceError("terms_need_other_method", ExitCode.USAGE, method=METHODS[method].title, alternative=alternative)
    before, _ = _counted(rows, tokenizer, None, emit)
    new = add_tokens(tokenizer, terms)
    if new.overlapping:
        term, other = next(iter(new.overlapping.items()))
        emit(Notice("warning", "terms_overlap", {"count": len(new.overlapping), "term": term, "other": other}))
    if not new.pieces:
        if not new.overlapping:
            emit(Notice("info", "terms_known", {"terms": len(terms)}))
        return None
    after, seen = _counted(rows, tokenizer, new, emit)
    share = (before - after) / before if before else 0.0
    emit(Notice("info", "terms_added", {"terms": len(terms), "added": len(new.pieces), "before": before, "after": after, "share": share}))
    if seen < len(new.pieces):
        emit(Notice("warning", "terms_unseen", {"added": len(new.pieces), "unseen": len(new.pieces) - seen}))
    return Expansion(tokenizer, new, before, after)


def _counted(rows: Path, tokenizer: Any, new: NewTokens | None, emit: Emit) -> tuple[int, int]:
    """Tokens of all texts, without what a chat template adds, and how many of the new tokens occur."""
    emit(Started(rows.stat().st_size, "bytes", "count_tokens"))
    tokens, seen = 0, set[int]()
    first = new.first if new else None
    for position, texts in _blocks(rows):
        for encoding in tokenizer.backend_tokenizer.encode_batch(texts, add_special_tokens=False):
            tokens += len(encoding.ids)
            if first is not None:
                seen.update(number for number in encoding.ids if number >= first)
        emit(Progress(position))
    return tokens, len(seen)


def _blocks(rows: Path) -> Iterator[tuple[int, list[str]]]:
    waiting: list[str] = []
    position = 0
    for _, position, row in read_rows_as(msgspec.json.Decoder(_Row).decode, rows):
        waiting += row.texts()
        if len(waiting) >= _TEXTS_AT_ONCE:
            yield position, waiting
            waiting = []
    yield position, waiting
