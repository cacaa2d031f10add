"""Preferences against what TRL's ``DPOTrainer`` said of the same tiny model, adapter and pairs (``scripts/compare-dpo --write``)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from appliance.stages.train.preferences import pair_losses
from scripts.dpo_comparison.material import BETAS
from scripts.dpo_comparison.ours import figures

THEIRS: dict[str, Any] = json.loads((Path(__file__).parent / "trl_dpo.json").read_text("utf-8"))
"""TRL 1.16.0, torch 2.13.0 on a processor."""
MEASURED = ("loss", "reward_chosen", "reward_rejected", "mean_loss", "mean_margin", "accuracy")
ROUNDING = 1e-5


@pytest.fixture(scope="module", params=[True, False], ids=["packed", "padded"])
def ours(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Our figures."""
    return figures(tmp_path_factory.mktemp("pairs"), packed=request.param)


@pytest.mark.parametrize("beta", BETAS)
def test_loss_of_log_probabilities_is_theirs(beta: float) -> None:
    """From the log probabilities that TRL found, our formula gives TRL's loss and rewards of every pair."""
    model, reference = (torch.tensor(THEIRS["log_probabilities"][side]) for side in ("model", "reference"))
    found, expected = pair_losses(model, reference, beta), THEIRS["betas"][str(beta)]
    for values, name in ((found.loss, "loss"), (found.better_reward, "reward_chosen"), (found.worse_reward, "reward_rejected")):
        assert values.tolist() == pytest.approx(expected[name], abs=2e-6), name


@pytest.mark.parametrize("beta", BETAS)
def test_pairs_train_as_theirs(ours: dict[str, Any], beta: float) -> None:
    """The same pairs become the same trained tokens, losses, rewards and gradients as in TRL, packed or padded."""
    mine, other = ours["betas"][str(beta)], THEIRS["betas"][str(beta)]
    assert ours["rows"] == THEIRS["rows"]
    for name in MEASURED:
        assert mine[name] == pytest.approx(other[name], abs=ROUNDING), name
    assert mine["gradients"].keys() == other["gradients"].keys()
    found, expected = (np.concatenate([side["gradients"][name] for name in sorted(other["gradients"])]) for side in (mine, other))
    assert np.linalg.norm(found - expected) / np.linalg.norm(expected) <= ROUNDING
    assert min(np.linalg.norm(gradient) for gradient in other["gradients"].values()) > 0
