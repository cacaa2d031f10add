"""LoRA (Hu et al. 2021), and QLoRA, which is LoRA on a base in NF4 (Dettmers et al. 2023)."""

from __future__ import annotations

from typing import Any

from peft import LoraConfig

from appliance.domain.families.decoder import EMBEDDING, HEAD, embeddings_are_tied
from appliance.stages.train.methods.learner import AdapterLearner, Learner, Preparation


def low_rank_config(preparation: Preparation, **variant: Any) -> LoraConfig:
    """peft's configuration of a low-rank adapter, with the rows of new tokens where there are any."""
    recipe = preparation.recipe
    return LoraConfig(
        r=recipe.rank,
        lora_alpha=recipe.alpha,
        lora_dropout=recipe.dropout,
        target_modules=list(preparation.family.linear_set(recipe.targets)),
        trainable_token_indices=_new_rows(preparation),
        task_type="CAUSAL_LM",
        **variant,
    )


def prepare(preparation: Preparation) -> Learner:
    """A fresh float32 adapter on the chosen layers."""
    return AdapterLearner(preparation, low_rank_config(preparation))


def _new_rows(preparation: Preparation) -> dict[str, list[int]] | None:
    """Rows to train by the module's name; a tied head follows the embedding by itself."""
    if not preparation.new_tokens:
        return None
    tied = embeddings_are_tied(preparation.base.config.to_dict())
    names = (EMBEDDING,) if tied else (EMBEDDING, HEAD)
    return {name.split(".")[-2]: list(preparation.new_tokens) for name in names}
