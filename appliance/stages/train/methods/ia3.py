"""(IA)³ (Liu et al. 2022): keys, values and the inner activations of the MLP are scaled by learned vectors, and nothing else is trained."""

from __future__ import annotations

from peft import IA3Config

from appliance.stages.train.methods.learner import AdapterLearner, Learner, Preparation

_OUTPUTS, _INPUTS = ("k_proj", "v_proj"), ("down_proj",)
"""Layers whose outputs are scaled, and those whose inputs are."""


def prepare(preparation: Preparation) -> Learner:
    """Vectors of ones, so that training begins at the base."""
    targets, inputs = [*_OUTPUTS, *_INPUTS], list(_INPUTS)
    return AdapterLearner(preparation, IA3Config(task_type="CAUSAL_LM", target_modules=targets, feedforward_modules=inputs))
