"""The learning rate: up in a straight line, then down along half a cosine to zero (Loshchilov and Hutter 2017)."""

from __future__ import annotations

import math

from appliance.domain.recipe import TrainingRecipe


def learning_rate(step: int, total: int, recipe: TrainingRecipe) -> float:
    """The rate of a step (from 1) out of ``total``."""
    warm_up = min(math.ceil(recipe.warmup_ratio * total), total - 1)
    if step <= warm_up:
        return recipe.learning_rate * step / (warm_up + 1)
    way = (step - 1 - warm_up) / (total - warm_up)
    return recipe.learning_rate * 0.5 * (1.0 + math.cos(math.pi * way))
