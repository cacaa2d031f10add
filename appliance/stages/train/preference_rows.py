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
from appliance.domain.errors import ApplianceError
from appliance.domain.event import Emit, Progress, Started
from appliance.files.rows import read_rows_as
from appliance.stages.language_model.chat_template import ChatTemplate
from appliance.stages.language_model.tokenized_rows import TokenizedRows, mark_pairs

_ROWS_AT_ONCE = 128


@dataclass(frozen=True, kw_only=True)
class PreferenceRows(TokenizedRows):
    """Pairs of answers."""

    halves: TokenizedRows
    """The same tokens in twice as many rows: the better answer of pair p is row 2·p, the worse one row 2·p + 1."""


class _Pairs:
    """Takes pairs in one by one."""

    def __init__(self, max_length: int) -> None:
        self._max_length = max_length
        self._ids, self._ends = array("i"), array("q", [0])
        self._trained = bytearray()
        self._too_long = self._untrained = 0

    def add(self, better: tuple[list[int], NDArray[np.bool_]], worse: tuple[list[int], NDArray[np.bool_]]) -> None:
        """Take both answers in, or count why not."""
        if max(len(better[0]), len(worse[0])) > self._max_length:
            self._too_long += 1
        elif not (better[1].any() and worse[1].any()):
            self._untrained += 1
        else:
            for ids, trained in (better, worse):
                self._ids.extend(ids)
                self._trained += trained.tobytes()
                self._ends.append(len(self._ids))

    def finished(self) -> PreferenceRows:
        """All pairs that were taken in."""
        ids, trained = np.array(self._ids, np.int32), np.frombuffer(bytes(self._trained), np.bool_)
        ends = np.array(self._ends, np.int64)
        counts = {"too_long": self._too_long, "untrained": self._untrained}
        return PreferenceRows(ids, trained, ends[::2].copy(), **counts, halves=TokenizedRows(ids, trained, ends))


def tokenize_preferences(path: Path, tokenizer: Any, max_length: int, emit: Emit) -> PreferenceRows:
    """All pairs of a ``rows.jsonl`` of whose answers each has at most ``max_length`` tokens with its question.

    Raises ``rows_without_preference`` when a row has no rejected answer: a loss over the others would hide that something is amiss.
    """
    if not path.is_file():
        raise ApplianceError("rows_missing", path=str(path))
    emit(Started(path.stat().st_size, "bytes", "tokenize"))
    template, pairs = ChatTemplate(tokenizer), _Pairs(max_length)
    for position, block in _blocks(path):
        for better, worse in mark_pairs(block, tokenizer, template):
            pairs.add((better.ids, better.trained), (worse.ids, worse.trained))
        emit(Progress(position))
    return pairs.finished()


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
