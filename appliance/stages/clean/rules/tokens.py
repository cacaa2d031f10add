"""Rows that are too short or too long in tokens of the base that will learn them."""

from __future__ import annotations

from pathlib import Path

from appliance.domain.errors import ApplianceError, ExitCode
from appliance.domain.row import Row
from appliance.domain.spec import CleanSpec
from appliance.stages.clean.rules.rule import Apply, Dropped


def make(spec: CleanSpec) -> Apply | None:
    """Drop a row outside ``min_tokens`` and ``max_tokens``, counted as it is trained; raises ``cleaning_needs_base`` without a base."""
    shortest, longest = spec.recipe.min_tokens, spec.recipe.max_tokens
    if not (shortest or longest):
        return None
    if not spec.base:
        raise ApplianceError("cleaning_needs_base", ExitCode.USAGE)
    from appliance.stages.language_model.token_count import token_counter  # seconds, and only when tokens are asked for

    count_tokens = token_counter(Path(spec.base))

    def apply(row: Row) -> Row | Dropped:
        tokens = count_tokens(row)
        if tokens < shortest:
            return Dropped("row_few_tokens", {"tokens": tokens, "limit": shortest})
        if longest and tokens > longest:
            return Dropped("row_many_tokens", {"tokens": tokens, "limit": longest})
        return row

    return apply
