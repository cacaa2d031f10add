"""Every family trains: a tiny random base of each, as people bring them, with its own kind of tokenizer and chat template."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from appliance.domain.event import Notice
from appliance.domain.families import FAMILIES, family_of
from appliance.files.base_screening import read_json_object
from appliance.stages.language_model.attention import takes_packs
from appliance.stages.language_model.batches import make_batch
from appliance.stages.language_model.device import Device
from appliance.stages.language_model.loading import load_tokenizer
from appliance.stages.language_model.loss import summed_loss
from appliance.stages.language_model.tokenized_rows import tokenize_rows
from tests.stages.export.tiny_base import FAMILIES as TINY
from tests.stages.export.tiny_base import make_base
from tests.stages.train.test_exactness import DTYPES, adapted, flat_gradient, row_loss
from tests.stages.train.training import Trained

SETTINGS: dict[str, dict[str, Any]] = {
    "qwen3": {"tie_word_embeddings": True},
    "mistral": {"sliding_window": 24, "head_dim": 32},
}
"""What their larger members have; the window is shorter than the rows."""


@pytest.fixture(scope="module", params=TINY)
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """Two steps of QLoRA."""
    folder = tmp_path_factory.mktemp(request.param)
    base = make_base(folder / "base", request.param, **SETTINGS.get(request.param, {}))
    return Trained(base, folder / "t", max_steps=2, dropout=0.0, max_length=512).run()


def test_every_family_is_tried() -> None:
    """The tiny bases are of all families that the appliance knows."""
    tried = {family_of({"architectures": [architecture.__name__]}).name for _, architecture in TINY.values()}
    assert tried == {family.name for family in FAMILIES}


def test_it_trains(trained: Trained) -> None:
    """Two steps of every row are taken and validated, no row is left out, all linear layers have an adapter and gradients flow."""
    assert [record.step for record in trained.history.steps] == [1, 2]
    assert trained.history.validations[-1].loss < trained.history.steps[0].loss
    assert min(record.grad_norm for record in trained.history.steps) > 0
    assert trained.artifact.facts["rows_left_out"] == 0
    assert trained.artifact.facts["packed"]
    layers = read_json_object(Path(trained.spec.output) / "adapter_config.json")["target_modules"]
    base = read_json_object(Path(trained.spec.base) / "config.json")
    assert sorted(layers) == sorted(family_of(base).linear_set("all_linear"))
    assert {notice.code for notice in trained.of(Notice) if notice.level == "warning"} == {"learning_rate_high"}  # tiny bases need that


@pytest.mark.parametrize("quantize", [False, True], ids=["plain", "nf4"])
def test_a_pack_is_its_rows(trained: Trained, cpu: Device, quantize: bool) -> None:
    """The gradients of a pack are those of its rows one by one through plain transformers attention, with its sliding window."""
    base = Path(trained.spec.base)
    rows = tokenize_rows(Path(trained.spec.validation_rows), load_tokenizer(base), 512, lambda _event: None)
    learner = adapted(base, cpu, quantize=quantize, checkpointing=False)
    model = learner.language_model
    assert takes_packs(model)
    assert int(rows.lengths().min()) > SETTINGS["mistral"]["sliding_window"]
    loss = summed_loss(model, make_batch(rows, list(range(len(rows))), packed=True))
    loss.backward()
    packed = flat_gradient(learner)
    model.set_attn_implementation("sdpa")
    total = torch.zeros(())
    for row in range(len(rows)):
        single = row_loss(model, rows, row)
        single.backward()
        total += single.detach()
    expected = flat_gradient(learner)
    assert loss.item() == pytest.approx(total.item(), rel=1e-6)
    assert ((packed - expected).norm() / expected.norm()).item() <= DTYPES[torch.float32]
