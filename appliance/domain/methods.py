"""Methods of training as plans and people need them: what is trained, what comes out, how fast it usually learns. No library is needed.

How a method trains is in ``stages/train/methods/``, one small file each.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

MethodName = Literal["qlora", "lora", "dora", "rslora", "lora_plus", "full", "ia3", "prefix", "prompt"]
Objective = Literal["answers", "preferences"]


@dataclass(frozen=True, kw_only=True)
class Method:
    """What is known of a method before anything is loaded."""

    name: MethodName
    title: str
    """As its authors write it."""
    learning_rate: float
    """The usual peak for a base of about 7 B parameters; a recipe that names none gets it."""
    quantizes_base: bool = True
    """The base is loaded as NF4 while it is trained and while its adapter is examined."""
    whole_model: bool = False
    """All weights are trained and a whole model comes out, not an adapter."""
    low_rank: bool = False
    """``rank``, ``alpha``, ``dropout``, ``targets`` and new tokens have a meaning."""
    in_prompt: bool = False
    """What is learned stands before the text as virtual tokens: rows cannot be packed, nothing can be merged or become GGUF."""
    can_recompute: bool = True
    """Blocks may recompute their activations in the backward pass; prefix tuning would add its keys and values a second time."""
    can_merge: bool = True
    """The result can be put into the base's own weights."""
    can_export: bool = True
    """The export knows how to; what it cannot is told before a training, for such a model can only be examined."""
    alternative: MethodName = "qlora"
    """What to take where this one does not do."""


METHODS: Mapping[str, Method] = {
    method.name: method
    for method in (
        Method(name="qlora", title="QLoRA", learning_rate=2e-4, low_rank=True),
        Method(name="lora", title="LoRA", learning_rate=2e-4, low_rank=True, quantizes_base=False),
        Method(name="dora", title="DoRA", learning_rate=1e-4, low_rank=True),
        Method(name="rslora", title="rsLoRA", learning_rate=1e-4, low_rank=True),
        # The usual rate is that of A; B's is larger by ``lora_plus_ratio``.
        Method(name="lora_plus", title="LoRA+", learning_rate=5e-5, low_rank=True),
        Method(name="full", title="full fine-tuning", learning_rate=2e-5, quantizes_base=False, whole_model=True),
        Method(name="ia3", title="(IA)³", learning_rate=3e-3),
        Method(
            name="prefix", title="prefix tuning", learning_rate=1e-2, in_prompt=True, can_recompute=False, can_merge=False, can_export=False
        ),
        Method(name="prompt", title="prompt tuning", learning_rate=1e-2, in_prompt=True, can_merge=False, can_export=False),
    )
}
"""Every method by its name in a recipe."""

PREFERENCE_SHARE = 0.1
"""Learning from preferences takes a tenth of the rate: it moves a model that already answers well."""
HIGH, ABSURD = 10.0, 100.0
"""Times the usual learning rate from which a person is warned, and from which a recipe is refused."""


def methods_for(objective: str, *, new_tokens: bool = False) -> tuple[MethodName, ...]:
    """Those that can learn by an objective: from preferences only what remembers the model as it was; and rows of new tokens, or not."""
    return tuple(
        method.name
        for method in METHODS.values()
        if not (method.whole_model and objective == "preferences") and (method.low_rank or method.whole_model or not new_tokens)
    )


def usual_learning_rate(method: str, objective: str = "answers") -> float:
    """The peak that a method usually learns with."""
    rate = METHODS[method].learning_rate
    return float(f"{rate * PREFERENCE_SHARE:.12g}") if objective == "preferences" else rate


def times_usual(rate: float, method: str, objective: str = "answers") -> float:
    """How many times the usual learning rate this one is."""
    return rate / usual_learning_rate(method, objective)
