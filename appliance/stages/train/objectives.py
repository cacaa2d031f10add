"""The objectives: one class each."""

from __future__ import annotations

from appliance.domain.recipe import TrainingRecipe
from appliance.stages.train.gradients import Answers
from appliance.stages.train.objective import Objective
from appliance.stages.train.preferences import Preferences


def new_objective(recipe: TrainingRecipe) -> Objective:
    """What the recipe wants to be learned."""
    return Preferences(recipe.dpo_beta) if recipe.objective == "preferences" else Answers()
