"""What a loss curve says to someone who has never seen one: overfitting, divergence, exploding gradients, numbers that are none.

A doctor sees every step and every validation once, in order. All it knows follows from them, so a resumed run shows it the history again
and goes on. A plateau is no illness: nothing is said of a loss that stays where it is.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator
from statistics import fmean, median

from appliance.domain.errors import ApplianceError, ExitCode
from appliance.domain.event import Notice
from appliance.stages.train.history import History, StepRecord, ValidationRecord

BLOCK, FIRST_BLOCK = 10, 3
"""Steps that are judged together, by their median, since a single one may have hard rows. The first few show what the base could do."""
FAR_ABOVE = 1.0
"""Nats above the best block, and above twice its loss, from which a block counts as diverged."""
HOPELESS_BLOCKS = 3
"""Diverged blocks in a row, each worse than the first of the run, after which training is ended."""
EXPLODED = 10.0
"""Times the usual gradient norm."""
USUAL_AFTER, USUAL_BLOCKS = 3, 30
"""Blocks, at least and at most, whose norms make what is usual."""
RISEN = 1.02
"""Times the best validation loss from which later ones count as risen."""
FORGOTTEN = 1.1
"""Times the untrained base's loss on general rows from which the model counts as forgetting."""


class Doctor:
    """Watches one training run."""

    def __init__(self, max_grad_norm: float) -> None:
        self._max_grad_norm = max_grad_norm
        self._block: list[StepRecord] = []
        self._first_loss: float | None = None
        self._lowest_loss = math.inf
        self._hopeless_blocks = 0
        self._norms: deque[float] = deque(maxlen=USUAL_BLOCKS)
        self._told: set[str] = set()
        self._since_validation: list[float] = []
        self._best: ValidationRecord | None = None
        self._training_loss_at_best = math.inf
        self._risen: list[float] = []

    def recall(self, history: History) -> None:
        """See again what happened before this start, in silence; whatever was to be said has been said."""
        validations = {record.step: record for record in history.validations}
        for record in history.steps:
            for _ in self.after_step(record):
                pass
            if record.step in validations:
                for _ in self.after_validation(validations[record.step]):
                    pass

        for look in history.general:
            for _ in self.after_general(history.general[0], look):
                pass

    def after_step(self, record: StepRecord) -> Iterator[Notice]:
        """What a step gives reason to say; raises ``training_diverged`` where going on would only cost time."""
        self._since_validation.append(record.loss)
        self._block.append(record)
        if len(self._block) < (FIRST_BLOCK if self._first_loss is None else BLOCK):
            return
        loss, norm = median(one.loss for one in self._block), median(one.grad_norm for one in self._block)
        self._block = []
        yield from self._judge_loss(record, loss)
        yield from self._judge_norm(record, norm)

    def after_validation(self, record: ValidationRecord) -> Iterator[Notice]:
        """What a validation gives reason to say."""
        training_loss = fmean(self._since_validation) if self._since_validation else math.inf
        self._since_validation = []
        if self._best is None or record.loss < self._best.loss:
            self._best, self._training_loss_at_best, self._risen = record, training_loss, []
            self._told.discard("overfitting")
            return
        rising = record.loss > (self._risen[-1] if self._risen else self._best.loss)
        self._risen = [*self._risen, record.loss] if rising else [record.loss]
        risen = len(self._risen) >= 2 and record.loss > RISEN * self._best.loss
        if risen and training_loss < self._training_loss_at_best and self._first_time("overfitting"):
            yield Notice(
                "warning",
                "overfitting",
                {"step": record.step, "loss": record.loss, "best_step": self._best.step, "best_loss": self._best.loss},
            )

    def after_general(self, before: ValidationRecord, record: ValidationRecord) -> Iterator[Notice]:
        """What a look at general rows gives reason to say; ``before`` is the one before the first step."""
        if record.loss > FORGOTTEN * before.loss and self._first_time("forgetting"):
            yield Notice("warning", "forgetting", {"step": record.step, "before": before.loss, "loss": record.loss})

    def _judge_loss(self, record: StepRecord, loss: float) -> Iterator[Notice]:
        first = self._first_loss = loss if self._first_loss is None else self._first_loss
        best = self._lowest_loss = min(loss, self._lowest_loss)
        diverged = loss > best + max(FAR_ABOVE, best)
        self._hopeless_blocks = self._hopeless_blocks + 1 if diverged and loss > first else 0
        told = {"step": record.step, "loss": loss, "best": best}
        if self._hopeless_blocks == HOPELESS_BLOCKS:
            raise ApplianceError("training_diverged", ExitCode.RUN_FAILED, **told)
        if diverged and self._first_time("training_diverging"):
            yield Notice("warning", "training_diverging", told)

    def _judge_norm(self, record: StepRecord, norm: float) -> Iterator[Notice]:
        usual = median(self._norms) if len(self._norms) >= USUAL_AFTER else math.inf
        self._norms.append(norm)
        if norm > max(EXPLODED * usual, self._max_grad_norm) and self._first_time("gradients_exploding"):
            yield Notice("warning", "gradients_exploding", {"step": record.step, "norm": norm, "usual": usual})

    def _first_time(self, what: str) -> bool:
        new = what not in self._told
        self._told.add(what)
        return new


def require_healthy(step: int, loss: float, norm: float, rate: float) -> None:
    """Raise ``loss_not_finite`` or ``loss_is_zero`` before a step with such numbers touches the weights."""
    if not math.isfinite(loss) or not math.isfinite(norm):
        raise ApplianceError("loss_not_finite", ExitCode.RUN_FAILED, step=step, learning_rate=rate)
    if loss == 0.0:
        raise ApplianceError("loss_is_zero", ExitCode.RUN_FAILED, step=step)
