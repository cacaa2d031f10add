"""Rows that say nearly the same as another one: of each group one stays, or they are only counted."""

from __future__ import annotations

from collections.abc import Set

from appliance.domain.event import Emit
from appliance.domain.recipe import CleaningRecipe
from appliance.stages.clean.rules.rule import Dropped, Judge, Passed, Verdicts

_EXAMPLES = 5


def make(recipe: CleaningRecipe) -> Judge | None:
    """Groups by ``similarity``; with ``keep_first`` or ``keep_longest`` all but one of each are dropped."""
    if recipe.near_duplicates == "off":
        return None
    from appliance.stages.near_duplicates import find_groups  # a second, and only when it is asked for

    def judge(passed: Passed, _gone: Set[int], emit: Emit) -> Verdicts:
        scratch = passed.rows.with_name("sketches")
        groups = find_groups(passed.rows, len(passed.lines), recipe.similarity, scratch, emit)
        dropped = {}
        if recipe.near_duplicates != "list":
            kept = groups.kept(longest=recipe.near_duplicates == "keep_longest")
            for group in groups.members:
                stays = int(kept[group[0]])
                told = {"kept_line": passed.lines[stays]}
                dropped.update({int(row): Dropped("row_near_duplicate", told) for row in group if row != stays})
        listed = [list(map(int, group[:3])) for group in groups.members[:_EXAMPLES]]
        return Verdicts(dropped, listed, groups.facts())

    return judge
