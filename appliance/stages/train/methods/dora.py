"""DoRA (Liu et al. 2024): the length of every row of a weight is learned apart from its direction."""

from __future__ import annotations

from appliance.stages.train.methods.learner import AdapterLearner, Learner, Preparation
from appliance.stages.train.methods.lora import low_rank_config


def prepare(preparation: Preparation) -> Learner:
    """A fresh adapter that begins as the base."""
    return AdapterLearner(preparation, low_rank_config(preparation, use_dora=True))
