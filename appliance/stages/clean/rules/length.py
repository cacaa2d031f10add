"""Rows whose answer is too short, or that are too long as a whole."""

from __future__ import annotations

from appliance.domain.conversation import Conversation
from appliance.domain.recipe import CleaningRecipe
from appliance.stages.clean.rules.rule import Apply, Dropped


def make(recipe: CleaningRecipe) -> Apply:
    """Drop a row with any answer below ``min_answer_chars``, or above ``max_chars`` in all turns together."""
    shortest, longest = recipe.min_answer_chars, recipe.max_chars

    def apply(row: Conversation, _line: int) -> Conversation | Dropped:
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
