"""The plan of a training before it begins: memory and disk by part, steps, time, and the methods side by side."""

from __future__ import annotations

from typing import Any

import msgspec

from appliance.domain.disk import checkpoint_bytes, result_bytes
from appliance.domain.errors import ApplianceError, ExitCode
from appliance.domain.family import Family
from appliance.domain.fitting import fit, nearest
from appliance.domain.memory import BaseShape, Load, Memory, Room, recomputed_blocks, trained_parameters
from appliance.domain.methods import METHODS, MethodName, methods_for
from appliance.domain.recipe import TrainingRecipe


class RowFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of the rows once they are tokens."""

    rows: int
    """That an epoch trains, those that are mixed in among them."""
    too_long: int
    untrained: int
    """Left out because nothing in them would be trained."""
    tokens: int
    """Of an average epoch."""
    trained_tokens: int
    """Of an average epoch."""
    longest: int
    """Tokens of the longest row that goes through the model; a pair of answers is two of them."""
    histogram: tuple[tuple[int, int], ...]
    """(length up to which, rows of an epoch), ascending; rows that are too long are not in it."""
    tokens_per_step: int
    """Of an average optimizer step."""
    steps: int
    """Of the whole run."""
    load: Load
    validated: bool = False
    """There are rows for validation, so that the best weights are kept."""
    examined_tokens: int = 0
    """Of all validations and of all looks at general rows, over the whole run."""


class Speed(msgspec.Struct, frozen=True, kw_only=True):
    """What a short calibration measured of one method on one block of the base; seconds per token."""

    method: MethodName
    forward: float
    """Of one block."""
    backward: float
    """Of one block, without recomputing."""
    head: float
    """Of a trained token's way through the head, there and back."""

    def seconds_per_token(self, blocks: int, recomputed: int, trained_share: float, *, compared: bool = False) -> float:
        """Of the whole model; ``trained_share`` of the tokens go through the head. ``compared``: with what the base says of it, too."""
        learned = blocks * (self.forward + self.backward) + recomputed * self.forward + trained_share * self.head
        return learned + (self.seconds_to_examine(blocks, trained_share) if compared else 0.0)

    def seconds_to_examine(self, blocks: int, trained_share: float) -> float:
        """Of a token that is not learned. The head's way back takes as long as its way there: its weights are not trained."""
        return blocks * self.forward + trained_share * self.head / 2


class MethodCost(msgspec.Struct, frozen=True, kw_only=True):
    """One method under the recipe's other choices."""

    method: MethodName
    memory: int
    fits: bool
    trained: int
    """Numbers that are trained."""
    share: float
    """Of all parameters."""
    tokens_per_second: float | None = None
    seconds: float | None = None


class TrainingPlan(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a person should know before a training begins."""

    method: MethodName
    room: Room
    fits: bool
    memory: Memory
    checkpointing: int
    """Every how many blocks one recomputes its activations; 0 for none."""
    recomputed: int
    blocks: int
    trained: int
    share: float
    checkpoint_bytes: int
    """Of all checkpoints that are there at once, and of the best weights beside them."""
    result_bytes: int
    rows: RowFacts
    tokens_per_second: float | None = None
    """None where nothing was calibrated."""
    seconds: float | None = None
    methods: tuple[MethodCost, ...] = ()
    nearest: dict[str, Any] | None = None
    """Fields to change so that it fits; empty when it does, None when nothing helps."""


def plan_training(
    shape: BaseShape, family: Family, recipe: TrainingRecipe, room: Room, rows: RowFacts, speeds: tuple[Speed, ...] = ()
) -> TrainingPlan:
    """The plan of one recipe; time is known where a speed of the recipe's method is among ``speeds``."""
    found = fit(shape, family, recipe, room, rows.load)
    trained = trained_parameters(shape, family, recipe)
    cost = _cost(shape, family, recipe, room, rows, speeds)
    return TrainingPlan(
        method=recipe.method,
        room=room,
        fits=found.fits,
        memory=found.memory,
        checkpointing=found.every,
        recomputed=recomputed_blocks(shape.blocks, found.every),
        blocks=shape.blocks,
        trained=trained,
        share=cost.share,
        checkpoint_bytes=checkpoint_bytes(trained, recipe, room, validated=rows.validated),
        result_bytes=result_bytes(trained, shape, recipe),
        rows=rows,
        tokens_per_second=cost.tokens_per_second,
        seconds=cost.seconds,
        nearest=nearest(shape, family, recipe, room, rows.load),
    )


def compare_methods(
    shape: BaseShape, family: Family, recipe: TrainingRecipe, room: Room, rows: RowFacts, speeds: tuple[Speed, ...] = ()
) -> tuple[MethodCost, ...]:
    """Every method that can learn these rows under the recipe's other choices, side by side."""
    return tuple(_cost(shape, family, other, room, rows, speeds) for other in other_methods(shape, recipe))


def other_methods(shape: BaseShape, recipe: TrainingRecipe) -> tuple[TrainingRecipe, ...]:
    """The recipe with every method that can learn its rows, its own among them."""
    methods = methods_for(recipe.objective, new_tokens=bool(shape.new_tokens))
    return tuple(msgspec.structs.replace(recipe, method=method) for method in methods)


def does_not_fit(plan: TrainingPlan) -> ApplianceError:
    """The refusal of a plan, with what to change."""
    told = {"needed": plan.memory.total, "free": plan.room.free, "device": plan.room.name}
    if plan.nearest is None:
        return ApplianceError("training_never_fits", ExitCode.NO_ROOM, **told)
    changes = " ".join(f"--set {name}={value}" for name, value in plan.nearest.items())
    return ApplianceError("training_does_not_fit", ExitCode.NO_ROOM, **told, changes=changes, nearest=plan.nearest)


def _cost(shape: BaseShape, family: Family, recipe: TrainingRecipe, room: Room, rows: RowFacts, speeds: tuple[Speed, ...]) -> MethodCost:
    found = fit(shape, family, recipe, room, rows.load)
    trained = trained_parameters(shape, family, recipe)
    speed = next((speed for speed in speeds if speed.method == recipe.method), None)
    tokens_per_second = seconds = None
    if speed is not None and rows.tokens:
        recomputed = recomputed_blocks(shape.blocks, found.every)
        share = rows.trained_tokens / rows.tokens
        per_token = speed.seconds_per_token(shape.blocks, recomputed, share, compared=recipe.objective == "preferences")
        tokens_per_second = 1 / per_token
        seconds = rows.steps * rows.tokens_per_step * per_token
        seconds += rows.examined_tokens * speed.seconds_to_examine(shape.blocks, share)
    return MethodCost(
        method=recipe.method,
        memory=found.memory.total,
        fits=found.fits,
        trained=trained,
        share=trained / (shape.parameters + (0 if METHODS[recipe.method].whole_model else trained)),
        tokens_per_second=tokens_per_second,
        seconds=seconds,
    )
