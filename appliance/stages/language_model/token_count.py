"""How many tokens a row has for a base, counted as it would be trained: conversations by the base's own template, documents as they are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from appliance.domain.document import Document
from appliance.domain.row import Row
from appliance.inference.wording import plain_text
from appliance.stages.language_model.chat_template import ChatTemplate
from appliance.stages.language_model.tokenizer import load_tokenizer


def token_counter(base: Path) -> Callable[[Row], int]:
    """The function that counts for one base. Raises ``tokenizer_unreadable``; counting, ``chat_template_missing``."""
    tokenizer = load_tokenizer(base)
    backend = tokenizer.backend_tokenizer
    template: ChatTemplate | None = None

    def count(row: Row) -> int:
        nonlocal template
        if isinstance(row, Document):
            return len(backend.encode(plain_text(row.text)).ids)
        template = template or ChatTemplate(tokenizer)  # documents need none
        return len(backend.encode(template.trained_spans(row.messages)[0], add_special_tokens=False).ids)

    return count
