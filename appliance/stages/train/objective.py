"""What a model learns from rows: to say answers, or to prefer one to another. One class each; the loop knows none of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch

from appliance.stages.language_model.device import Device
from appliance.stages.train.group import ALONE, Group
from appliance.stages.train.methods.learner import Learner
from appliance.stages.train.order import Step


@dataclass(frozen=True)
class StepLoss:
    """What the passes of a step gave beside the gradients."""

    value: torch.Tensor
    """Mean over what the objective counts (trained tokens, in nats; pairs): a scalar on the device."""
    tokens: int
    trained_tokens: int
    measures: Mapping[str, torch.Tensor] = field(default_factory=dict)
    """Further means by the name of their metric: scalars on the device."""


@dataclass(frozen=True)
class Measured:
    """The loss over all rows of a dataset."""

    loss: float
    measures: Mapping[str, float] = field(default_factory=dict)


class Objective(Protocol):
    """How rows become gradients. ``rows`` are those that the objective was made for."""

    def gradients(self, learner: Learner, device: Device, rows: Any, step: Step, group: Group = ALONE) -> StepLoss:
        """Add the gradients of a step's mean loss to those of the learner, summed over the group."""
        ...

    def measured(self, learner: Learner, device: Device, rows: Any, pack_tokens: int, padded_rows: int, group: Group = ALONE) -> Measured:
        """The mean loss over all rows, without gradients and without dropout; every process of the group goes through all of them."""
        ...
