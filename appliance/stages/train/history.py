"""What has happened in a training run so far; part of every checkpoint."""

from __future__ import annotations

import msgspec


class StepRecord(msgspec.Struct, frozen=True):
    """One optimizer step."""

    step: int
    """From 1."""
    loss: float
    """Mean over the step's trained tokens, in nats, with dropout."""
    learning_rate: float
    grad_norm: float
    """Before clipping."""
    tokens: int
    trained_tokens: int
    measures: dict[str, float] = {}
    """What else the objective tells, by the name of its metric."""


class ValidationRecord(msgspec.Struct, frozen=True):
    """One look at the validation rows."""

    step: int
    loss: float
    """Mean over all trained tokens, in nats, without dropout."""
    measures: dict[str, float] = {}
    """What else the objective tells, by the name of its metric."""


class History(msgspec.Struct):
    """All steps and validations, and the time they took, over all starts of the run."""

    steps: list[StepRecord] = []
    validations: list[ValidationRecord] = []
    general: list[ValidationRecord] = []
    """Looks at general rows, the first before the first step: what is forgotten."""
    seconds: float = 0.0
    best_step: int = 0
    """Of the validation whose weights are kept beside the checkpoints; 0 when none are."""
    halvings: int = 0
    """How often micro-batches were halved because memory ran out; part of what later steps do."""

    @property
    def step(self) -> int:
        """The last completed step; 0 before the first."""
        return len(self.steps)

    @property
    def best(self) -> ValidationRecord | None:
        """The validation whose weights are kept."""
        return next((record for record in self.validations if record.step == self.best_step), None)

    def curve(self, points: int) -> list[float]:
        """The loss of all steps as at most ``points`` values, each the mean of equally many neighbours."""
        width = max(1, -(-len(self.steps) // points))
        pieces = (self.steps[start : start + width] for start in range(0, len(self.steps), width))
        return [round(sum(record.loss for record in piece) / len(piece), 5) for piece in pieces]
