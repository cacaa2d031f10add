"""In which numbers a training computes: bfloat16 where the device is quicker with it, else float32, unless the recipe says."""

from __future__ import annotations

import dataclasses

import torch

from appliance.domain.event import Emit, Notice
from appliance.domain.memory import BaseShape
from appliance.domain.methods import METHODS
from appliance.domain.recipe import TrainingRecipe
from appliance.stages.language_model.device import Device

SMALL = 20_000_000
"""Weights in linear layers below which a processor gains nothing: what is converted to and fro then takes longer than the products."""


def with_arithmetic(device: Device, recipe: TrainingRecipe, shape: BaseShape, emit: Emit) -> Device:
    """The device, computing as the recipe says.

    A GPU that has bfloat16 uses it anyway. A processor does for low-rank adapters on a base that is not small, if it has units that
    multiply bfloat16 matrices (AMX): there it is three to eight times as fast as float32. AVX-512's bfloat16 alone measured slower.
    """
    if recipe.arithmetic != "auto":
        return dataclasses.replace(device, dtype=getattr(torch, recipe.arithmetic))
    large = METHODS[recipe.method].low_rank and shape.linear_parameters >= SMALL
    if device.kind == "cpu" and large and multiplies_bfloat16():
        emit(Notice("info", "arithmetic_bfloat16", {}))
        return dataclasses.replace(device, dtype=torch.bfloat16)
    return device


def multiplies_bfloat16() -> bool:
    """Whether this processor has units for bfloat16 matrices. Torch before 2.13 may not know, which counts as no."""
    told: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    return bool(told.get("amx_bf16"))
