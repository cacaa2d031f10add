"""Prefix tuning (Li and Liang 2021): learned keys and values before the text, in every block."""

from __future__ import annotations

from peft import PrefixTuningConfig

from appliance.stages.train.methods.learner import Learner, Preparation
from appliance.stages.train.methods.prompt import PromptLearner


def prepare(preparation: Preparation) -> Learner:
    """Random virtual tokens."""
    config = PrefixTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=preparation.recipe.virtual_tokens)
    return PromptLearner(preparation, config)
