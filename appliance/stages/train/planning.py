"""The plan of a training once its rows are tokens: what ``domain/plan.py`` computes, from what only a stage can see."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from appliance.domain.event import Emit, Notice
from appliance.domain.family import Family
from appliance.domain.memory import BaseShape, Load, Room
from appliance.domain.plan import RowFacts, TrainingPlan, does_not_fit, plan_training
from appliance.domain.recipe import TrainingRecipe
from appliance.files.checksum import size_of
from appliance.files.space import require_space
from appliance.stages.language_model.tokenized_rows import TokenizedRows
from appliance.stages.train.order import Order, Part, packs_rows
from appliance.stages.train.preference_rows import PreferenceRows

_STEPS_LOOKED_AT = 400
"""Steps whose micro-batches are really formed; the largest of so many is the largest there will be, or nearly."""
_BARS = 12
"""Of the histogram, at most."""


def row_facts(
    rows: TokenizedRows, recipe: TrainingRecipe, parts: Sequence[Part] = (), *, validation: float = 0.0, general: float = 0.0
) -> RowFacts:
    """Lengths, steps and the largest micro-batch of these rows under a recipe.

    Of each part counts what an epoch takes of it. ``validation`` and ``general`` are the tokens of the rows that are looked at.
    """
    lengths, parts = rows.lengths(), parts or (Part(len(rows), len(rows)),)
    order = Order(lengths, recipe, parts)
    trained = np.add.reduceat(rows.flat_trained, rows.ends[:-1], dtype=np.int64) if len(rows) else lengths
    seen = np.repeat([part.taken / max(1, part.rows) for part in parts], [part.rows for part in parts])
    tokens = float(lengths @ seen)
    halves = _halves(rows)
    longest = int(halves.max(initial=0))
    largest = Load(tokens=int(lengths.max(initial=0)), trained=int(trained.max(initial=0)), longest=longest)
    for number in range(1, min(order.total_steps, order.steps_per_epoch, _STEPS_LOOKED_AT) + 1):
        for chosen in order.step(number):
            together = int(lengths[chosen].sum()) if packs_rows(recipe) else int(halves[chosen].max()) * halves[chosen].size
            if together > largest.tokens:
                largest = Load(tokens=together, trained=int(trained[chosen].sum()), longest=longest)
    looks = -(-order.total_steps // (recipe.eval_steps or order.steps_per_epoch))  # the last one after the last step
    passes = 2 if recipe.objective == "preferences" else 1  # the base has its say on a pair, too
    return RowFacts(
        rows=order.rows_per_epoch,
        too_long=rows.too_long,
        untrained=rows.untrained,
        tokens=round(tokens),
        trained_tokens=round(float(trained @ seen)),
        longest=longest,
        histogram=_histogram(lengths, seen),
        tokens_per_step=round(tokens / max(1, order.steps_per_epoch)),
        steps=order.total_steps,
        load=largest,
        validated=validation > 0,
        examined_tokens=round(looks * passes * validation + (looks + 1) * general),
    )


def require_room(facts: RowFacts, recipe: TrainingRecipe, shape: BaseShape, family: Family, room: Room, emit: Emit) -> TrainingPlan:
    """The plan, told to whoever follows the run. Raises ``training_does_not_fit`` with the nearest recipe that does."""
    plan = plan_training(shape, family, recipe, room, facts)
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


def tokens_of(rows: TokenizedRows | None) -> int:
    """Of rows that may not be there."""
    return rows.tokens if rows is not None else 0


def _halves(rows: TokenizedRows) -> NDArray[np.int64]:
    """Lengths of what goes through the model: of each row, or of both answers of each pair: (rows, 1 or 2)."""
    return rows.halves.lengths().reshape(-1, 2) if isinstance(rows, PreferenceRows) else rows.lengths().reshape(-1, 1)


def _histogram(lengths: NDArray[np.int64], seen: NDArray[np.float64]) -> tuple[tuple[int, int], ...]:
    """At most twelve bars of equal width, each as (length up to which, rows that an epoch sees)."""
    if not len(lengths):
        return ()
    width = max(1, -(-int(lengths.max()) // _BARS))
    counts = np.bincount((lengths - 1) // width, weights=seen)
    return tuple((width * (bar + 1), round(count)) for bar, count in enumerate(counts.tolist()))
