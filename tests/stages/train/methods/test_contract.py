"""What every method keeps, on both families: it learns, is loaded by plain peft or transformers, and merges or says that it cannot."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

from appliance.domain.event import Notice
from appliance.domain.methods import METHODS, MethodName
from appliance.stages.language_model.device import Device
from appliance.stages.language_model.loading import load_base, load_model, load_tokenizer
from appliance.stages.language_model.loss import mean_loss
from appliance.stages.language_model.tokenized_rows import tokenize_rows
from appliance.stages.train.methods import PREPARE
from tests.stages.train.training import Trained

RATES = {"full": 0.003, "ia3": 0.1, "prefix": 0.1, "prompt": 0.03, "lora_plus": 0.002}
"""Tiny bases learn with larger steps than real ones."""
FALL = {"ia3": 0.03, "prefix": 0.02, "prompt": 0.02}
"""How much the loss falls at least; what does not change weights cannot teach a random base much."""
IDS = torch.tensor([[5, 9, 33, 7, 41, 12, 80, 3]])


@pytest.fixture(scope="module", params=METHODS)
def trained(request: pytest.FixtureRequest, base: Path, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """One training by every method, of each family."""
    method = request.param
    rate = RATES.get(method, 0.01)
    return Trained(base, tmp_path_factory.mktemp(method), method=method, learning_rate=rate, epochs=6.0, virtual_tokens=8).run()


def method_of(trained: Trained) -> Any:
    """What the domain says of the method."""
    return METHODS[trained.spec.recipe.method]


def plain_base(trained: Trained) -> Any:
    """The base in float32 as plain transformers loads it."""
    return AutoModelForCausalLM.from_pretrained(trained.spec.base, dtype=torch.float32)


def logits_of(model: Any) -> torch.Tensor:
    """Logits of a fixed row; virtual tokens have none that anybody needs."""
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # peft tells what it does with position ids
        found: torch.Tensor = model.eval()(input_ids=IDS).logits[:, -IDS.shape[1] :]
        return found


def test_every_method_has_its_maker() -> None:
    """The names of a recipe, the descriptions of the domain and the makers of the stage are the same."""
    assert set(get_args(MethodName)) == set(METHODS) == set(PREPARE)


def test_it_learns(trained: Trained) -> None:
    """Training and validation loss fall."""
    history = trained.history
    assert history.steps[-1].loss < history.steps[0].loss - FALL.get(trained.spec.recipe.method, 0.1)
    assert history.validations[-1].loss < history.validations[0].loss
    assert trained.artifact.facts["method"] == trained.spec.recipe.method
    assert trained.artifact.role == ("merged" if method_of(trained).whole_model else "adapter")


def test_plain_libraries_load_it(trained: Trained, cpu: Device) -> None:
    """Plain peft or transformers loads what was published, and it predicts as the trained model did at its end."""
    method = method_of(trained)
    rows = tokenize_rows(Path(trained.spec.validation_rows), load_tokenizer(Path(trained.spec.base)), 1024, lambda _event: None)
    expected = pytest.approx(trained.history.validations[-1].loss, rel=5e-3 if method.whole_model else 1e-5)
    if method.whole_model:
        model = load_model(Path(trained.spec.output), None, cpu, quantize=False, emit=lambda _event: None)
        plain = AutoModelForCausalLM.from_pretrained(trained.spec.output, dtype=torch.float32)
    else:
        output = Path(trained.spec.output)
        model = load_model(Path(trained.spec.base), output, cpu, quantize=method.quantizes_base, emit=lambda _event: None)
        plain = PeftModel.from_pretrained(load_base(Path(trained.spec.base), cpu, quantize=method.quantizes_base), output)
    assert mean_loss(model, rows, cpu).value == expected
    hidden = getattr(model, model.base_model_prefix)(input_ids=IDS, use_cache=False).last_hidden_state
    ours = model.get_output_embeddings()(hidden).detach()
    assert torch.allclose(logits_of(plain), ours, atol=1e-5)


def test_it_merges_or_says_that_it_cannot(trained: Trained) -> None:
    """An adapter merges into a float base without changing a prediction; one that cannot was announced before the training."""
    method = method_of(trained)
    told = [event for event in trained.of(Notice) if event.code == "method_without_gguf"]
    assert len(told) == (0 if method.can_export else 1)
    if told:
        assert trained.events.index(told[0]) < 5
        assert told[0].parameters["alternative"] == "QLoRA"
    if method.whole_model or not method.can_merge:
        return
    adapted = PeftModel.from_pretrained(plain_base(trained), trained.spec.output)
    before = logits_of(adapted)
    assert torch.allclose(logits_of(adapted.merge_and_unload()), before, atol=1e-4)
    assert not torch.allclose(logits_of(plain_base(trained)), before, atol=1e-2)
