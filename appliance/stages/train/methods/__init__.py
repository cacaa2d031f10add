"""The methods of training: one file and one line each. What plans and people need to know of them is in ``domain/methods.py``."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from appliance.domain.methods import MethodName
from appliance.stages.train.methods import dora, full, ia3, lora, lora_plus, prefix, prompt, rslora
from appliance.stages.train.methods.learner import Learner, Preparation

PREPARE: Mapping[MethodName, Callable[[Preparation], Learner]] = {
    "qlora": lora.prepare,
    "lora": lora.prepare,
    "dora": dora.prepare,
    "rslora": rslora.prepare,
    "lora_plus": lora_plus.prepare,
    "full": full.prepare,
    "ia3": ia3.prepare,
    "prefix": prefix.prepare,
    "prompt": prompt.prepare,
}


def new_learner(preparation: Preparation) -> Learner:
    """The base made ready to learn by the recipe's method."""
    return PREPARE[preparation.recipe.method](preparation)
