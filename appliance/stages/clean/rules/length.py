"""Conversations whose answer is too short, or that are too long as a whole; documents may have any length."""

from __future__ import annotations

from appliance.domain.document import Document
from appliance.domain.row import Row
from appliance.domain.spec import CleanSpec
from appliance.stages.clean.rules.rule import Apply, Dropped


def make(spec: CleanSpec) -> Apply:
    """Drop a row with any answer below ``min_answer_chars``, or above ``max_chars`` in all turns together."""
    shortest, longest = spec.recipe.min_answer_chars, spec.recipe.max_chars

    def apply(row: Row) -> Row | Dropped:
        if isinstance(row, Document):
            return row
        total = 0
        for message in row.messages:
            length = len(message.content)
            total += length
            if length < shortest and message.role == "assistant":
                return Dropped("row_answer_short", {"chars": length, "limit": shortest})
        if total > longest:
            return Dropped("row_long", {"chars": total, "limit": longest})
        return row

    return apply
