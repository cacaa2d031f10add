"""LoRA+ (Hayou et al. 2024): B, which begins at zero, learns faster than A."""

from __future__ import annotations

from typing import Any

from appliance.stages.train.methods.learner import AdapterLearner, Learner, Preparation
from appliance.stages.train.methods.lora import low_rank_config


class LoraPlusLearner(AdapterLearner):
    """A LoRA adapter in two groups."""

    def __init__(self, preparation: Preparation) -> None:
        super().__init__(preparation, low_rank_config(preparation))
        self._ratio = preparation.recipe.lora_plus_ratio

    def parameter_groups(self) -> list[dict[str, Any]]:
        """A (and the rows of new tokens) at the schedule's rate, B at ``lora_plus_ratio`` times it."""
        named = [(name, parameter) for name, parameter in self.model.named_parameters() if parameter.requires_grad]
        fast = [parameter for name, parameter in named if ".lora_B." in name]
        slow = [parameter for name, parameter in named if ".lora_B." not in name]
        return [{"params": slow, "rate_factor": 1.0}, {"params": fast, "rate_factor": self._ratio}]


def prepare(preparation: Preparation) -> Learner:
    """A fresh LoRA adapter whose B is fast."""
    return LoraPlusLearner(preparation)
