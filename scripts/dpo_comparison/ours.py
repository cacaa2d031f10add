"""The appliance's figures: its own rows, learner and objective on the common material."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from appliance.domain.families.qwen2 import QWEN2
from appliance.domain.recipe import TrainingRecipe
from appliance.stages.language_model.attention import PACK_ATTENTION
from appliance.stages.language_model.device import choose_device
from appliance.stages.language_model.loading import quiet_libraries
from appliance.stages.train.methods import new_learner
from appliance.stages.train.methods.learner import Learner, Preparation
from appliance.stages.train.preference_rows import PreferenceRows, tokenize_preferences
from appliance.stages.train.preferences import Preferences
from scripts.dpo_comparison.material import ALPHA, BETAS, PAIRS, RANK, fill_adapter, gradients, make_model, make_tokenizer, write_rows


def make_learner(*, packed: bool) -> Learner:
    """The common model with the common adapter, its rows packed or padded."""
    model = make_model().requires_grad_(False)
    if packed:
        model.set_attn_implementation(PACK_ATTENTION)
    recipe = TrainingRecipe(method="lora", rank=RANK, alpha=ALPHA, dropout=0.0, objective="preferences")
    learner = new_learner(Preparation(model, QWEN2, recipe))
    fill_adapter(learner.model)
    return learner


def make_rows(folder: Path) -> PreferenceRows:
    """The pairs as tokens, by the appliance's own reading."""
    return tokenize_preferences(write_rows(folder / "pairs.jsonl"), make_tokenizer(), 64, lambda _event: None)


def figures(folder: Path, *, packed: bool) -> dict[str, Any]:
    """The same figures as the other side's, in the same shape, but for log probabilities, which the appliance does not tell."""
    quiet_libraries()
    rows, learner = make_rows(folder), make_learner(packed=packed)
    device = choose_device("cpu", lambda _event: None)
    found: dict[str, Any] = {"rows": [_answer(rows, answer) for answer in range(2 * len(PAIRS))], "betas": {}}
    for beta in BETAS:
        objective = Preferences(beta)
        single = [objective.gradients(learner, device, rows, [[pair]]) for pair in range(len(PAIRS))]
        learner.model.zero_grad()
        whole = objective.gradients(learner, device, rows, [list(range(len(PAIRS)))])
        found["betas"][str(beta)] = {
            "loss": [step.value.item() for step in single],
            "reward_chosen": [step.measures["reward_chosen"].item() for step in single],
            "reward_rejected": [step.measures["reward_rejected"].item() for step in single],
            "mean_loss": whole.value.item(),
            "mean_margin": whole.measures["reward_margin"].item(),
            "accuracy": whole.measures["reward_accuracy"].item(),
            "gradients": gradients(learner.model),
        }
    return found


def _answer(rows: PreferenceRows, answer: int) -> list[list[int]]:
    return [rows.halves.ids(answer).tolist(), rows.halves.trained(answer).astype(int).tolist()]
