"""AdamW: bitsandbytes' paged 8-bit one on a GPU, torch's own on the CPU."""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from bitsandbytes.optim.adamw import PagedAdamW8bit

from appliance.domain.recipe import TrainingRecipe
from appliance.stages.language_model.device import Device
from appliance.stages.language_model.lean import never_compiled


def optimizer_kind(device: Device) -> str:
    """What an optimizer's state can be given back to."""
    return "paged_adamw_8bit" if device.kind == "cuda" else "adamw"


def new_optimizer(groups: list[dict[str, Any]], device: Device, recipe: TrainingRecipe) -> torch.optim.Optimizer:
    """An optimizer without a past; its learning rate is set at every step."""
    never_compiled(part for part in vars(torch.optim.Optimizer).values() if callable(part))
    parameters = [{**group, "lr": recipe.learning_rate * group["rate_factor"]} for group in groups]
    if optimizer_kind(device) == "paged_adamw_8bit":
        paged: torch.optim.Optimizer = PagedAdamW8bit(parameters, lr=recipe.learning_rate, weight_decay=recipe.weight_decay)
        return paged
    return _adamw()(parameters, lr=recipe.learning_rate, weight_decay=recipe.weight_decay, fused=True)


@cache
def _adamw() -> type[torch.optim.AdamW]:
    """torch's AdamW; its step without what torch wraps around it, which besides switching gradients off imports the compiler."""
    inner = getattr(torch.optim.AdamW.step, "__wrapped__", None)
    if inner is None:
        return torch.optim.AdamW
    return type("AdamW", (torch.optim.AdamW,), {"step": torch.no_grad()(inner)})
