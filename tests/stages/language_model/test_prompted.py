"""Virtual tokens before a text: answers and losses are those of plain peft."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import GenerationConfig

from appliance.domain.recipe import TrainingRecipe
from appliance.stages.language_model.device import Device
from appliance.stages.language_model.loading import family_in, load_base
from appliance.stages.language_model.prompted import Prompted
from appliance.stages.train.methods import new_learner
from appliance.stages.train.methods.learner import Preparation

LONGEST = 6


@pytest.fixture(params=["prefix", "prompt"])
def prompted(request: pytest.FixtureRequest, base: Path, cpu: Device) -> Prompted:
    """A base with random virtual tokens large enough to change what it says."""
    bare = load_base(base, cpu, quantize=False)
    bare.set_attn_implementation("sdpa")
    learner = new_learner(Preparation(bare, family_in(base), TrainingRecipe(method=request.param, virtual_tokens=5)))
    for parameter in learner.trained:
        parameter.data = torch.randn_like(parameter)
    model: Prompted = learner.language_model
    model.generation_config = GenerationConfig(do_sample=False, max_new_tokens=LONGEST, eos_token_id=[401], pad_token_id=401)
    return model.eval()


def said_by_peft(model: Any, prompt: list[int]) -> list[int]:
    """The most likely continuation, each token from the full logits of plain peft."""
    ids = list(prompt)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # peft tells what it does with position ids
        while len(ids) < len(prompt) + LONGEST and (len(ids) == len(prompt) or ids[-1] != 401):
            ids.append(int(model(input_ids=torch.tensor([ids])).logits[0, -1].argmax()))
    return ids[len(prompt) :]


def test_answers_are_those_of_peft(prompted: Prompted) -> None:
    """Rows of different lengths, padded on the left, are continued as plain peft continues each by itself."""
    prompts = [[5, 9, 33, 7], [41, 12, 80, 3, 17, 60, 2], [8]]
    width = max(map(len, prompts))
    ids = torch.tensor([[0] * (width - len(prompt)) + prompt for prompt in prompts])
    mask = torch.tensor([[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts])
    said = prompted.generate(input_ids=ids, attention_mask=mask)[:, width:].tolist()
    for row, prompt in zip(said, prompts, strict=True):
        expected = said_by_peft(prompted.peft_model, prompt)
        assert row[: len(expected)] == expected
        assert set(row[len(expected) :]) <= {401}


def test_virtual_tokens_change_what_is_said(prompted: Prompted) -> None:
    """With them the base predicts something else than without."""
    ids = torch.tensor([[5, 9, 33, 7]])
    base = prompted.peft_model.get_base_model()
    with torch.no_grad():
        ours = prompted.decoder(input_ids=ids, use_cache=False).last_hidden_state
        bare = base.model(input_ids=ids, use_cache=False).last_hidden_state
    assert ours.shape == bare.shape
    assert not torch.allclose(ours, bare, atol=0.1)
