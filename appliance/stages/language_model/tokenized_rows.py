"""Rows as token ids, with a mark on every token that is trained: of a conversation the answers, of a document all.

A document becomes as many rows as it needs, each beginning with the last token of the one before, so that every token is learned once; a
conversation that is too long is left out, cut or refused as the recipe says, and counted in any case.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from appliance.domain.conversation import Conversation, Message
from appliance.domain.document import Document
from appliance.domain.errors import ApplianceError
from appliance.domain.event import Emit, Progress, Started
from appliance.domain.row import Row
from appliance.files.rows import read_rows
from appliance.inference.wording import plain_text
from appliance.stages.language_model.chat_template import ChatTemplate, Span

LongRows = Literal["leave_out", "refuse", "cut"]
"""What happens to a conversation with too many tokens."""
Fate = Literal["whole", "cut", "too_long", "untrained"]
"""What becomes of a row: only a whole one and a cut one are trained."""

_ROWS_AT_ONCE = 256
_ENDS_OF_DOCUMENT = ("<|endoftext|>", "<|end_of_text|>")
"""What stood between documents when Qwen and Llama 3 were made; a chat base's own end token ends a turn instead."""


@dataclass(frozen=True)
class MarkedText:
    """One text as training sees it, before anybody looks at its length."""

    text: str
    """A conversation as its template renders it, a document as it is."""
    ids: list[int]
    trained: NDArray[np.bool_]
    """Which tokens the model has to say: (tokens,); never the first, which nothing comes before."""
    offsets: list[Span]
    """First and last character of every token in ``text``: (tokens,); a token that stands for no text has no width."""
    spans: list[Span]
    """The characters that the model has to say: of a conversation its answers with what ends each."""


@dataclass(frozen=True)
class TokenizedRows:
    """Rows of a dataset, all in three flat arrays: five bytes for each token."""

    flat_ids: NDArray[np.int32]
    """Of all rows, one after another: (tokens,)."""
    flat_trained: NDArray[np.bool_]
    """Which of them the model has to say: (tokens,)."""
    ends: NDArray[np.int64]
    """Where each row begins and the last one ends: (rows + 1,)."""
    too_long: int = 0
    """Rows with more tokens than are allowed; they are not among the rows. Where rows are cut, those that would keep nothing trained."""
    cut: int = 0
    """Rows of which only the beginning is among the rows."""
    untrained: int = 0
    """Rows without a single trained token; they are not among the rows either."""

    def __len__(self) -> int:
        return len(self.ends) - 1

    @property
    def left_out(self) -> int:
        """Rows that were read and are not here."""
        return self.too_long + self.untrained

    @property
    def tokens(self) -> int:
        """Of all rows."""
        return len(self.flat_ids)

    @cached_property
    def trained_tokens(self) -> int:
        """Of all rows."""
        return int(self.flat_trained.sum())

    def lengths(self) -> NDArray[np.int64]:
        """Tokens of every row: (rows,)."""
        return np.diff(self.ends)

    def ids(self, row: int) -> NDArray[np.int32]:
        """Token ids of one row: (length,)."""
        return self.flat_ids[self.ends[row] : self.ends[row + 1]]

    def trained(self, row: int) -> NDArray[np.bool_]:
        """Which tokens of one row the model has to say: (length,); never the first, which nothing comes before."""
        return self.flat_trained[self.ends[row] : self.ends[row + 1]]

    @classmethod
    def joined(cls, parts: Sequence[TokenizedRows]) -> TokenizedRows:
        """The rows of several datasets, one dataset after another."""
        begins = np.cumsum([0, *(part.tokens for part in parts)])
        return cls(
            np.concatenate([part.flat_ids for part in parts]),
            np.concatenate([part.flat_trained for part in parts]),
            np.concatenate([[0], *(part.ends[1:] + begin for part, begin in zip(parts, begins, strict=False))]),
            *(sum(getattr(part, name) for part in parts) for name in ("too_long", "cut", "untrained")),
        )


def tokenize_rows(path: Path, tokenizer: Any, max_length: int, emit: Emit, long_rows: LongRows = "leave_out") -> TokenizedRows:
    """All rows of a ``rows.jsonl`` that have at most ``max_length`` tokens, conversations and documents.

    Raises ``rows_too_long`` when there is a longer conversation and long rows are refused.
    """
    if not path.is_file():
        raise ApplianceError("rows_missing", path=str(path))
    rows = _Collector(max_length, cut=long_rows == "cut")
    emit(Started(path.stat().st_size, "bytes", "tokenize"))
    template: ChatTemplate | None = None
    for position, block in row_blocks(path):
        if isinstance(block[0], Document):
            for document in mark_documents([row for row in block if isinstance(row, Document)], tokenizer):
                rows.add_document(document.ids)
        else:
            template = template or ChatTemplate(tokenizer)  # documents need none
            for row in mark_conversations([row for row in block if isinstance(row, Conversation)], tokenizer, template):
                rows.add(row.ids, row.trained)
        emit(Progress(position))
    if rows.too_long and long_rows == "refuse":
        raise ApplianceError("rows_too_long", path=str(path), too_long=rows.too_long, max_length=max_length, longest=rows.longest)
    return rows.finished()


class _Collector:
    """Takes rows in one by one."""

    def __init__(self, max_length: int, *, cut: bool) -> None:
        self.max_length = max_length
        self.longest = self.too_long = 0
        self._cuts = cut
        self._cut = self._untrained = 0
        self._ids = array("i")
        self._trained = bytearray()
        self._ends = array("q", [0])

    def add(self, ids: list[int], trained: NDArray[np.bool_]) -> None:
        """Take a row in, or count why not."""
        self.longest = max(self.longest, len(ids))
        trained[:1] = False
        fate = fate_of(trained, self.max_length, cuts=self._cuts)
        if fate == "too_long":
            self.too_long += 1
        elif fate == "untrained":
            self._untrained += 1
        else:
            self._cut += fate == "cut"
            self._ids.extend(ids[: self.max_length])
            self._trained += trained[: self.max_length].tobytes()
            self._ends.append(len(self._ids))

    def add_document(self, ids: list[int]) -> None:
        """Take a text in, as rows that overlap by one token."""
        for piece in (ids[start : start + self.max_length] for start in piece_starts(len(ids), self.max_length)):
            self.add(piece, np.ones(len(piece), np.bool_))

    def finished(self) -> TokenizedRows:
        """All rows that were taken in."""
        arrays = np.array(self._ids, np.int32), np.frombuffer(bytes(self._trained), np.bool_), np.array(self._ends, np.int64)
        return TokenizedRows(*arrays, self.too_long, self._cut, self._untrained)


def fate_of(trained: NDArray[np.bool_], max_length: int, *, cuts: bool) -> Fate:
    """What becomes of a row of these marks: (tokens,), under a longest length and with or without cutting.

    One whose cut would take away all that is trained is too long, for a larger length would help; so nobody looks for a fault elsewhere.
    """
    if len(trained) <= max_length:
        return "whole" if trained.any() else "untrained"
    if not cuts:
        return "too_long"
    if trained[:max_length].any():
        return "cut"
    return "too_long" if trained.any() else "untrained"


def piece_starts(tokens: int, max_length: int) -> range:
    """Where the rows begin that a document of so many tokens becomes; each begins with the last token of the one before."""
    return range(0, max(1, tokens - 1), max_length - 1)


def mark_conversations(block: Sequence[Conversation], tokenizer: Any, template: ChatTemplate) -> Iterator[MarkedText]:
    """Conversations as their template renders them, with what the model has to say marked."""
    rendered = [template.trained_spans(conversation.messages) for conversation in block]
    encodings = tokenizer.backend_tokenizer.encode_batch([text for text, _ in rendered], add_special_tokens=False)
    for encoding, (text, spans) in zip(encodings, rendered, strict=True):
        offsets = encoding.offsets
        yield MarkedText(text, encoding.ids, marks_inside(offsets, spans), offsets, spans)


def mark_pairs(block: Sequence[Conversation], tokenizer: Any, template: ChatTemplate) -> Iterator[tuple[MarkedText, MarkedText]]:
    """Of every row the conversation that ends with the better answer and the one that ends with the worse; only these are trained."""
    said = [end for row in block for end in (row, Conversation((*row.messages[:-1], Message("assistant", row.rejected))))]
    marked = [replace(one, trained=marks_inside(one.offsets, one.spans[-1:])) for one in mark_conversations(said, tokenizer, template)]
    return zip(marked[::2], marked[1::2], strict=True)


def mark_documents(block: Sequence[Document], tokenizer: Any) -> Iterator[MarkedText]:
    """Documents with what stands between two of them; all but the first token is learned."""
    # With what the base puts before a text: Llama 3 never saw one without its first token.
    texts = [plain_text(document.text) for document in block]
    encodings = tokenizer.backend_tokenizer.encode_batch(texts, add_special_tokens=True)
    ends = [tokenizer.backend_tokenizer.token_to_id(name) for name in _ENDS_OF_DOCUMENT]
    end = next((found for found in (*ends, tokenizer.eos_token_id) if found is not None), None)
    for text, encoding in zip(texts, encodings, strict=True):
        ids, offsets = encoding.ids, encoding.offsets
        if end is not None and ids[-1:] != [end]:
            ids, offsets = [*ids, end], [*offsets, (len(text), len(text))]
        trained = np.ones(len(ids), np.bool_)
        trained[:1] = False
        yield MarkedText(text, ids, trained, offsets, [(0, len(text))])


def marks_inside(offsets: Sequence[Span], spans: Sequence[Span]) -> NDArray[np.bool_]:
    """Which tokens lie wholly inside one of the spans: (tokens,); never the first, which nothing comes before."""
    places = np.array(offsets, dtype=np.int64).reshape(-1, 2)
    inside = np.zeros(len(places), dtype=np.bool_)
    for start, end in spans:
        # A token can be without width (a trimmed space); one that stands exactly at the start belongs to the prompt.
        inside |= (places[:, 0] >= start) & (places[:, 1] > start) & (places[:, 1] <= end)
    inside[:1] = False
    return inside


def row_blocks(path: Path) -> Iterator[tuple[int, list[Row]]]:
    """Some rows of one kind at a time, with the position in the file behind them in bytes."""
    waiting: list[Row] = []
    position = 0
    for _, after, row in read_rows(path):
        if waiting and (len(waiting) == _ROWS_AT_ONCE or type(waiting[0]) is not type(row)):
            yield position, waiting
            waiting = []
        waiting.append(row)
        position = after
    if waiting:
        yield position, waiting
