"""AdamW: bitsandbytes' paged 8-bit one on a GPU, torch's own on the CPU."""

from __future__ import annotations

from typing import Any

import torch
from bitsandbytes.optim.adamw import PagedAdamW8bit

from appliance.domain.recipe import TrainingRecipe
from appliance.stages.language_model.device import Device


def new_optimizer(groups: list[dict[str, Any]], device: Device, recipe: TrainingRecipe) -> torch.optim.Optimizer:
    """An optimizer without a past; its learning rate is set at every step."""
    parameters = [{**group, "lr": recipe.learning_rate * group["rate_factor"]} for group in groups]
    if device.kind == "cuda":
        paged: torch.optim.Optimizer = PagedAdamW8bit(parameters, lr=recipe.learning_rate, weight_decay=recipe.weight_decay)
        return paged
    return torch.optim.AdamW(parameters, lr=recipe.learning_rate, weight_decay=recipe.weight_decay, fused=True)
