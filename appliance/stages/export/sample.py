"""The sample, in the child: choose rows by their content, render them as for training, write text and tokens.

Tokens are written as ``numpy.savez``: ``ids`` (int32), ``scored`` (bool: the model has to say this token) and ``ends`` (int64, behind the
last token of each conversation). The same rows give the same sample, whatever order they are in.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerFast

from appliance.domain.conversation import Conversation, from_json
from appliance.domain.errors import ApplianceError
from appliance.files.rows import read_rows_as
from appliance.stages.export.children import child_main
from appliance.stages.export.sampling import LONGEST, Sample, SampleRequest
from appliance.stages.language_model.chat_template import ChatTemplate

TOKENS_PER_ROW = 8
"""No rendered conversation has fewer, so this many rows are enough."""

Row = tuple[str, list[int], NDArray[np.bool_]]
"""Text, token ids, which of them the model has to say."""


def answer(raw: bytes, tell: Callable[[int], None]) -> Sample:
    """Take the sample that the request asks for."""
    request = msgspec.json.decode(raw, type=SampleRequest)
    tokenizer = _tokenizer(Path(request.tokenizer))
    count, chosen = _chosen(Path(request.rows), request.tokens // TOKENS_PER_ROW + 1)
    taken: list[Row] = []
    left = request.tokens
    for row in _rendered(chosen, tokenizer):
        if left <= 0:
            break
        text, ids, scored = row
        ids, scored = ids[: min(left, LONGEST)], scored[: min(left, LONGEST)]
        taken.append((text, ids, scored))
        left -= len(ids)
        tell(len(taken))
    if request.text:
        Path(request.text).write_text("".join(text for text, _, _ in taken), "utf-8")
    if request.ids:
        _write_ids(Path(request.ids), taken)
    scored_tokens = sum(int(scored.sum()) for _, _, scored in taken)
    return Sample(rows=len(taken), of_rows=count, tokens=request.tokens - left, scored=scored_tokens)


def _tokenizer(folder: Path) -> Any:
    """The base's tokenizer as training uses it; ``language_model/loading.py`` would bring torch with it."""
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    tokenizer.backend_tokenizer.no_truncation()
    tokenizer.backend_tokenizer.no_padding()
    return tokenizer


def _chosen(path: Path, most: int) -> tuple[int, list[Conversation]]:
    """How many rows there are, and those with the smallest content hashes: a fair draw that needs no luck."""
    if not path.is_file():
        raise ApplianceError("rows_missing", path=str(path))
    count = 0

    def counted() -> Iterator[Conversation]:
        nonlocal count
        for _, _, conversation in read_rows_as(from_json, path):
            count += 1
            yield conversation

    chosen = heapq.nsmallest(most, counted(), key=lambda conversation: conversation.content_hash())
    return count, chosen


def _rendered(conversations: list[Conversation], tokenizer: Any) -> Iterator[Row]:
    template = ChatTemplate(tokenizer)
    for conversation in conversations:
        text, spans = template.trained_spans(conversation.messages)
        encoding = tokenizer.backend_tokenizer.encode(text, add_special_tokens=False)
        places = np.array(encoding.offsets, dtype=np.int64).reshape(-1, 2)
        scored = np.zeros(len(places), dtype=np.bool_)
        for start, end in spans:
            scored |= (places[:, 0] >= start) & (places[:, 1] > start) & (places[:, 1] <= end)
        scored[:1] = False  # nothing comes before the first
        yield text, encoding.ids, scored


def _write_ids(path: Path, rows: list[Row]) -> None:
    with path.open("wb") as file:
        np.savez(
            file,
            ids=np.concatenate([np.array(ids, dtype=np.int32) for _, ids, _ in rows] or [np.empty(0, dtype=np.int32)]),
            scored=np.concatenate([scored for _, _, scored in rows] or [np.empty(0, dtype=np.bool_)]),
            ends=np.cumsum([len(ids) for _, ids, _ in rows], dtype=np.int64),
        )


if __name__ == "__main__":
    child_main(answer)
