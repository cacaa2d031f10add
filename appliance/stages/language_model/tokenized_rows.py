"""Rows as token ids, with a mark on every token that is trained: of a conversation the answers, of a document all.

A document becomes as many rows as it needs, each beginning with the last token of the one before, so that every token is learned once; a
conversation that is too long is left out, cut or refused as the recipe says, and counted in any case.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from appliance.domain.conversation import Conversation, Message
from appliance.domain.document import Document
from appliance.domain.errors import ApplianceError
from appliance.domain.event import Emit, Progress, Started
from appliance.files.lines import read_lines
from appliance.inference.wording import plain_text
from appliance.stages.language_model.chat_template import ChatTemplate, Span

LongRows = Literal["leave_out", "refuse", "cut"]
"""What happens to a conversation with too many tokens."""

_ROWS_AT_ONCE = 256
_ENDS_OF_DOCUMENT = ("<|endoftext|>", "<|end_of_text|>")
"""What stood between documents when Qwen and Llama 3 were made; a chat base's own end token ends a turn instead."""


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
    """Rows with more tokens than are allowed; they are not among the rows."""
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
    for position, block in _blocks(path):
        if isinstance(block[0], Document):
            _add_documents([row for row in block if isinstance(row, Document)], tokenizer, rows)
        else:
            template = template or ChatTemplate(tokenizer)  # documents need none
            _add_conversations([row for row in block if isinstance(row, Conversation)], tokenizer, template, rows)
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
        if len(ids) > self.max_length and not self._cuts:
            self.too_long += 1
        elif not trained[: self.max_length].any():
            self._untrained += 1
        else:
            self._cut += len(ids) > self.max_length
            self._ids.extend(ids[: self.max_length])
            self._trained += trained[: self.max_length].tobytes()
            self._ends.append(len(self._ids))

    def add_document(self, ids: list[int]) -> None:
        """Take a text in, as rows that overlap by one token."""
        starts = range(0, max(1, len(ids) - 1), self.max_length - 1)
        for piece in (ids[start : start + self.max_length] for start in starts):
            self.add(piece, np.ones(len(piece), np.bool_))

    def finished(self) -> TokenizedRows:
        """All rows that were taken in."""
        arrays = np.array(self._ids, np.int32), np.frombuffer(bytes(self._trained), np.bool_), np.array(self._ends, np.int64)
        return TokenizedRows(*arrays, self.too_long, self._cut, self._untrained)


def _add_conversations(block: list[Conversation], tokenizer: Any, template: ChatTemplate, rows: _Collector) -> None:
    rendered = [template.trained_spans(conversation.messages) for conversation in block]
    encodings = tokenizer.backend_tokenizer.encode_batch([text for text, _ in rendered], add_special_tokens=False)
    for encoding, (_, spans) in zip(encodings, rendered, strict=True):
        rows.add(encoding.ids, _inside(encoding.offsets, spans))


def _add_documents(block: list[Document], tokenizer: Any, rows: _Collector) -> None:
    # With what the base puts before a text: Llama 3 never saw one without its first token.
    encodings = tokenizer.backend_tokenizer.encode_batch([plain_text(document.text) for document in block], add_special_tokens=True)
    ends = [tokenizer.backend_tokenizer.token_to_id(name) for name in _ENDS_OF_DOCUMENT]
    end = next((found for found in (*ends, tokenizer.eos_token_id) if found is not None), None)
    for encoding in encodings:
        ids = encoding.ids
        rows.add_document(ids if end is None or ids[-1:] == [end] else [*ids, end])


def _inside(offsets: list[Span], spans: list[Span]) -> NDArray[np.bool_]:
    """Which tokens lie wholly inside one of the spans: (tokens,)."""
    places = np.array(offsets, dtype=np.int64).reshape(-1, 2)
    inside = np.zeros(len(places), dtype=np.bool_)
    for start, end in spans:
        # A token can be without width (a trimmed space); one that stands exactly at the start belongs to the prompt.
        inside |= (places[:, 0] >= start) & (places[:, 1] > start) & (places[:, 1] <= end)
    return inside


class _Line(msgspec.Struct):
    """A row of either kind."""

    messages: tuple[Message, ...] | None = None
    text: str | None = None

    def row(self) -> Conversation | Document:
        """The row as what it is; raises ``msgspec.ValidationError`` when it is neither."""
        if self.messages is not None:
            return Conversation(self.messages)
        if self.text is not None:
            return Document(self.text)
        raise msgspec.ValidationError("neither messages nor text")


def _blocks(path: Path) -> Iterator[tuple[int, list[Conversation | Document]]]:
    """Some rows of one kind at a time, with the position in the file behind them in bytes."""
    decoder = msgspec.json.Decoder(_Line)
    waiting: list[Conversation | Document] = []
    position = 0
    for line, after, data in read_lines(path):
        try:
            row = decoder.decode(data).row()
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise ApplianceError("rows_damaged", path=str(path), line=line) from error
        if waiting and (len(waiting) == _ROWS_AT_ONCE or type(waiting[0]) is not type(row)):
            yield position, waiting
            waiting = []
        waiting.append(row)
        position = after
    if waiting:
        yield position, waiting
