"""rsLoRA (Kalajdzievski 2023): the update is scaled by alpha / √rank, so that a high rank still learns."""

from __future__ import annotations

from appliance.stages.train.methods.learner import AdapterLearner, Learner, Preparation
from appliance.stages.train.methods.lora import low_rank_config


def prepare(preparation: Preparation) -> Learner:
    """A fresh adapter with the other scale."""
    return AdapterLearner(preparation, low_rank_config(preparation, use_rslora=True))
