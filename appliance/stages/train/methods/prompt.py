"""Prompt tuning (Lester et al. 2021): learned embeddings before the text; the base is as it was."""

from __future__ import annotations

from typing import Any

from peft import PromptTuningConfig, PromptTuningInit

from appliance.stages.language_model.prompted import Prompted
from appliance.stages.train.methods.learner import AdapterLearner, Learner, Preparation


class PromptLearner(AdapterLearner):
    """A base with virtual tokens before its text."""

    def speaking(self, model: Any) -> Any:
        """The base behind its virtual tokens."""
        return Prompted(model)


def prepare(preparation: Preparation) -> Learner:
    """Virtual tokens that begin as words drawn from the vocabulary, which learn sooner than random numbers."""
    config = PromptTuningConfig(
        task_type="CAUSAL_LM",
        num_virtual_tokens=preparation.recipe.virtual_tokens,
        prompt_tuning_init=PromptTuningInit.SAMPLE_VOCAB,
    )
    return PromptLearner(preparation, config)
