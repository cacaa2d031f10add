"""Preferences as token ids: a pair is one row, its better answer followed by its worse one, each behind the same question.

So everything that orders, packs and counts rows works on pairs as it does on conversations; only the loss looks at the halves.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from appliance.domain.conversation import Conversation, from_json
from appliance.domain.errors import ApplianceError, ExitCode
from appliance.domain.event import Emit, Progress, Started
from appliance.files.rows import read_rows_as
from appliance.stages.language_model.chat_template import ChatTemplate
from appliance.stages.language_model.token_cache import TokenCache, kept_rows, tokens_key
from appliance.stages.language_model.tokenized_rows import LongRows, TokenizedRows, mark_pairs

_ROWS_AT_ONCE = 128


@dataclass(frozen=True, kw_only=True)
class PreferenceRows(TokenizedRows):
    """Pairs of answers."""

    halves: TokenizedRows
    """The same tokens in twice as many rows: the better answer of pair p is row 2·p, the worse one row 2·p + 1."""

    @classmethod
    def of(cls, halves: TokenizedRows) -> PreferenceRows:
        """Pairs of their halves; what was left out is counted in pairs."""
        ids, trained, ends = halves.flat_ids, halves.flat_trained, halves.ends[::2].copy()
        return cls(ids, trained, ends, too_long=halves.too_long, untrained=halves.untrained, halves=halves)


class _Pairs:
    """Takes pairs in one by one."""

    def __init__(self, max_length: int) -> None:
        self.longest = self.too_long = 0
        self._max_length = max_length
        self._ids, self._ends = array("i"), array("q", [0])
        self._trained = bytearray()
        self._untrained = 0

    def add(self, better: tuple[list[int], NDArray[np.bool_]], worse: tuple[list[int], NDArray[np.bool_]]) -> None:
        """Take both answers in, or count why not."""
        longer = max(len(better[0]), len(worse[0]))
        self.longest = max(self.longest, longer)
        if longer > self._max_length:
            self.too_long += 1
        elif not (better[1].any() and worse[1].any()):
            self._untrained += 1
        else:
            for ids, trained in (better, worse):
                self._ids.extend(ids)
                self._trained += trained.tobytes()
                self._ends.append(len(self._ids))

    def finished(self) -> TokenizedRows:
        """The halves of all pairs that were taken in."""
        arrays = np.array(self._ids, np.int32), np.frombuffer(bytes(self._trained), np.bool_), np.array(self._ends, np.int64)
        return TokenizedRows(*arrays, too_long=self.too_long, untrained=self._untrained)


def cached_preferences(
    path: Path, tokenizer: Any, max_length: int, emit: Emit, long_rows: LongRows = "leave_out", cache: TokenCache | None = None
) -> PreferenceRows:
    """What ``tokenize_preferences`` gives, from the cache where it is there."""
    if cache is None or not path.is_file():
        return tokenize_preferences(path, tokenizer, max_length, emit, long_rows)

    def halves() -> TokenizedRows:
        return tokenize_preferences(path, tokenizer, max_length, emit, long_rows).halves

    return PreferenceRows.of(kept_rows(path, tokens_key(path, tokenizer, max_length, long_rows, pairs=True), halves, emit, cache))


def tokenize_preferences(path: Path, tokenizer: Any, max_length: int, emit: Emit, long_rows: LongRows = "leave_out") -> PreferenceRows:
    """All pairs of a ``rows.jsonl`` of whose answers each has at most ``max_length`` tokens with its question.

    Raises ``rows_without_preference`` when a row has no rejected answer: a loss over the others would hide that something is amiss;
    ``rows_too_long`` when there is a longer pair and long rows are refused; and ``preferences_cannot_be_cut``, for half an answer is
    neither better nor worse.
    """
    if long_rows == "cut":
        raise ApplianceError("preferences_cannot_be_cut", ExitCode.USAGE)
    if not path.is_file():
        raise ApplianceError("rows_missing", path=str(path))
    emit(Started(path.stat().st_size, "bytes", "tokenize"))
    template, pairs = ChatTemplate(tokenizer), _Pairs(max_length)
    for position, block in _blocks(path):
        for better, worse in mark_pairs(block, tokenizer, template):
            pairs.add((better.ids, better.trained), (worse.ids, worse.trained))
        emit(Progress(position))
    if pairs.too_long and long_rows == "refuse":
        raise ApplianceError("rows_too_long", path=str(path), too_long=pairs.too_long, max_length=max_length, longest=pairs.longest)
    return PreferenceRows.of(pairs.finished())


def _blocks(path: Path) -> Iterator[tuple[int, list[Conversation]]]:
    """Some rows at a time, with the position in the file behind them in bytes."""
    waiting: list[Conversation] = []
    position = 0
    for line, position, row in read_rows_as(from_json, path):
        if not row.rejected:
            raise ApplianceError("rows_without_preference", path=str(path), line=line)
        waiting.append(row)
        if len(waiting) == _ROWS_AT_ONCE:
            yield position, waiting
            waiting = []
    if waiting:
        yield position, waiting
