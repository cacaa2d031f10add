"""The plan of a training once its rows are tokens: what ``domain/plan.py`` computes, from what only a stage can see."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from appliance.domain.event import Emit, Notice
from appliance.domain.family import Config, Family
from appliance.domain.memory import Load, Room, shape_of
from appliance.domain.plan import RowFacts, TrainingPlan, does_not_fit, plan_training
from appliance.domain.recipe import TrainingRecipe
from appliance.files.checksum import size_of
from appliance.files.space import require_space
from appliance.stages.language_model.tokenized_rows import TokenizedRows
from appliance.stages.train.order import Order, Part, packs_rows

_STEPS_LOOKED_AT = 400
"""Steps whose micro-batches are really formed; the largest of so many is the largest there will be, or nearly."""
_BARS = 12
"""Of the histogram, at most."""


def row_facts(rows: TokenizedRows, recipe: TrainingRecipe, parts: Sequence[Part] = ()) -> RowFacts:
    """Lengths, steps and the largest micro-batch of these rows under a recipe."""
    lengths = rows.lengths()
    order = Order(lengths, recipe, parts)
    trained = np.add.reduceat(rows.flat_trained, rows.ends[:-1], dtype=np.int64) if len(rows) else lengths
    longest = int(lengths.max(initial=0))
    largest = Load(tokens=longest, trained=int(trained.max(initial=0)), longest=longest)
    for number in range(1, min(order.total_steps, order.steps_per_epoch, _STEPS_LOOKED_AT) + 1):
        for chosen in order.step(number):
            widest = int(lengths[chosen].max())
            tokens = int(lengths[chosen].sum()) if packs_rows(recipe) else widest * len(chosen)
            if tokens > largest.tokens:
                largest = Load(tokens=tokens, trained=int(trained[chosen].sum()), longest=longest)
    return RowFacts(
        rows=len(rows),
        too_long=rows.too_long,
        untrained=rows.untrained,
        tokens=rows.tokens,
        trained_tokens=rows.trained_tokens,
        longest=longest,
        histogram=_histogram(lengths),
        tokens_per_step=round(rows.tokens / max(1, len(rows)) * min(recipe.batch_size, order.rows_per_epoch)),
        steps=order.total_steps,
        load=largest,
    )


def require_room(
    rows: TokenizedRows, parts: Sequence[Part], recipe: TrainingRecipe, family: Family, config: Config, room: Room, emit: Emit
) -> TrainingPlan:
    """The plan, told to whoever follows the run. Raises ``training_does_not_fit`` with the nearest recipe that does."""
    plan = plan_training(shape_of(family, config), family, recipe, room, row_facts(rows, recipe, parts))
    told = {"memory": plan.memory.total, "free": room.free, "steps": plan.rows.steps, "recomputed": plan.recomputed, "blocks": plan.blocks}
    emit(Notice("info", "plan_made", told))
    if not plan.fits:
        raise does_not_fit(plan)
    return plan


def require_disk(plan: TrainingPlan, checkpoints: Path) -> None:
    """Raise ``disk_too_small`` unless there is room for all checkpoints of a plan and its result.

    What an earlier start of the run left there is room that it has already: it stays, or makes place for what comes.
    """
    occupied = size_of(checkpoints) if checkpoints.is_dir() else 0
    require_space(checkpoints, max(0, plan.checkpoint_bytes + plan.result_bytes - occupied))


def _histogram(lengths: np.ndarray[tuple[int], np.dtype[np.int64]]) -> tuple[tuple[int, int], ...]:
    """At most twelve bars of equal width, each as (length up to which, rows)."""
    if not len(lengths):
        return ()
    width = max(1, -(-int(lengths.max()) // _BARS))
    counts = np.bincount((lengths - 1) // width)
    return tuple((width * (bar + 1), int(count)) for bar, count in enumerate(counts))
