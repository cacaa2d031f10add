"""Preview: one row's exact tokens as training makes them, with what is trained and what a longest length does to them.

The answerer behind the ``tokens`` questions, see ``running/answerer.py``. It tokenizes with the very functions that training uses and
decides nothing by itself; it knows neither registry nor front ends.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec

from appliance.domain.conversation import Conversation
from appliance.domain.document import Document
from appliance.domain.errors import ApplianceError, ExitCode
from appliance.domain.preview import Fate, TokenPart, TokenPreview, TokenQuestion
from appliance.domain.row import Row, row_from_json
from appliance.stages.language_model.chat_template import ChatTemplate
from appliance.stages.language_model.tokenized_rows import (
    MarkedText,
    fate_of,
    mark_conversations,
    mark_documents,
    mark_pairs,
    piece_starts,
)
from appliance.stages.language_model.tokenizer import load_tokenizer, tokenizer_folder
from appliance.stages.preview.pieces import shown_pieces

LARGEST_ROW = 8 << 20
"""Bytes; the tokens of a longer row would take longer than anybody waits for a preview."""


def answer(question: TokenQuestion) -> TokenPreview:
    """The tokens of one row. Raises ``row_too_large_to_preview``, ``row_damaged``, ``rows_missing`` or what the tokenizer raises."""
    if question.size > LARGEST_ROW:
        raise ApplianceError("row_too_large_to_preview", size=question.size, limit=LARGEST_ROW)
    row = _read(question)
    folder = tokenizer_folder(Path(question.base), Path(question.adapter) if question.adapter else None)
    tokenizer = _tokenizer(folder, _version_of(folder))
    if isinstance(row, Document):
        return _document(row, tokenizer, question)
    template = ChatTemplate(tokenizer)
    if row.rejected:
        return _pair(row, tokenizer, template, question)
    (marked,) = mark_conversations([row], tokenizer, template)
    fate = fate_of(marked.trained, question.max_length, cuts=question.long_rows == "cut")
    part = _part("conversation", marked, tokenizer, question, template.end_of_turn, fate)
    return TokenPreview(fate=_told(fate, question), end_of_turn=template.end_of_turn, parts=(part,))


def _pair(row: Conversation, tokenizer: Any, template: ChatTemplate, question: TokenQuestion) -> TokenPreview:
    ((better, worse),) = mark_pairs([row], tokenizer, template)
    # A pair is never cut: half an answer is neither better nor worse.
    fates = [fate_of(marked.trained, question.max_length, cuts=False) for marked in (better, worse)]
    fate: Fate = "too_long" if "too_long" in fates else "untrained" if "untrained" in fates else "whole"
    parts = [
        _part(role, marked, tokenizer, question, template.end_of_turn, fate) for role, marked in (("better", better), ("worse", worse))
    ]
    return TokenPreview(fate=_told(fate, question), end_of_turn=template.end_of_turn, parts=tuple(parts))


def _document(row: Document, tokenizer: Any, question: TokenQuestion) -> TokenPreview:
    (marked,) = mark_documents([row], tokenizer)
    starts = piece_starts(len(marked.ids), question.max_length)
    fate: Fate = "pieces" if len(starts) > 1 else fate_of(marked.trained, question.max_length, cuts=False)
    end = "" if marked.offsets[-1][1] > marked.offsets[-1][0] else str(tokenizer.backend_tokenizer.id_to_token(marked.ids[-1]))
    part = _part("document", marked, tokenizer, question, end, fate)
    return TokenPreview(fate=fate, end_of_turn=end, starts=tuple(starts) if len(starts) > 1 else (), parts=(part,))


def _part(role: Any, marked: MarkedText, tokenizer: Any, question: TokenQuestion, end: str, fate: Fate) -> TokenPart:
    total = len(marked.ids)
    kept = {"whole": total, "pieces": total, "cut": question.max_length}.get(fate, 0)
    wanted = slice(question.first, question.first + question.count)
    spans = marked.spans[-1:] if role in ("better", "worse") else marked.spans
    ended = [kept == total and bool(end)] if role == "document" else [_ends_trained(marked, stop, end, kept) for _, stop in spans]
    return TokenPart(
        role=role,
        total=total,
        trained_total=int(marked.trained.sum()),
        kept=kept,
        turns=len(ended),
        turns_ended=sum(ended),
        first=min(question.first, total),
        ids=tuple(marked.ids[wanted]),
        texts=tuple(shown_pieces(marked, tokenizer)[wanted]),
        trained=tuple(map(bool, marked.trained[wanted])),
    )


def _ends_trained(marked: MarkedText, span_end: int, end: str, kept: int) -> bool:
    """Whether what ends the turn at ``span_end`` is there, trained and not cut off."""
    begin = span_end - len(end)
    places = [place for place, (start, stop) in enumerate(marked.offsets) if begin <= start < stop <= span_end]
    return bool(places) and all(place < kept and marked.trained[place] for place in places)


def _told(fate: Fate, question: TokenQuestion) -> Fate:
    return "refused" if fate == "too_long" and question.long_rows == "refuse" else fate


def _read(question: TokenQuestion) -> Row:
    path = Path(question.rows)
    try:
        with path.open("rb") as rows:
            rows.seek(question.begin)
            line = rows.read(question.size)
    except OSError as error:
        raise ApplianceError("rows_missing", ExitCode.BAD_DATA, path=str(path)) from error
    try:
        return row_from_json(line)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ApplianceError("row_damaged", path=str(path), place=question.begin) from error


def _version_of(folder: Path) -> tuple[tuple[str, int, int], ...]:
    """What changes when a file of the folder is replaced, so that a tokenizer is never older than its files."""
    states = [(path.name, path.stat()) for path in sorted(folder.glob("*")) if path.suffix in (".json", ".jinja")]
    return tuple((name, state.st_mtime_ns, state.st_size) for name, state in states)


@lru_cache(maxsize=2)
def _tokenizer(folder: Path, _version: tuple[tuple[str, int, int], ...]) -> Any:
    return load_tokenizer(folder)
