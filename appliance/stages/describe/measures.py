"""How long rows are: in characters, or in tokens by the functions that training uses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from appliance.domain.conversation import Conversation
from appliance.domain.document import Document
from appliance.domain.row import Row, texts_of

Measure = Callable[[Sequence[Row]], list[tuple[int, int]]]
"""Rows → for each its length and how much of that is trained."""


def characters(rows: Sequence[Row]) -> list[tuple[int, int]]:
    """Characters of the contents; nobody knows how many are trained."""
    return [(sum(map(len, texts_of(row))), 0) for row in rows]


def tokens(base: Path, adapter: Path | None) -> Measure:
    """Tokens as training makes them, before anything is cut."""
    from appliance.stages.language_model.chat_template import ChatTemplate
    from appliance.stages.language_model.tokenized_rows import mark_conversations, mark_documents
    from appliance.stages.language_model.tokenizer import load_tokenizer, tokenizer_folder

    tokenizer = load_tokenizer(tokenizer_folder(base, adapter))
    template: list[ChatTemplate] = []

    def measure(rows: Sequence[Row]) -> list[tuple[int, int]]:
        conversations = [row for row in rows if isinstance(row, Conversation)]
        if conversations and not template:
            template.append(ChatTemplate(tokenizer))  # documents need none
        said = mark_conversations(conversations, tokenizer, template[0]) if conversations else iter(())
        written = mark_documents([row for row in rows if isinstance(row, Document)], tokenizer)
        marked = (next(written if isinstance(row, Document) else said) for row in rows)
        return [(len(one.ids), int(one.trained.sum())) for one in marked]

    return measure
