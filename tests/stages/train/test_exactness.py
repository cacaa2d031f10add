"""A packed batch is mathematically the unpadded one: gradients, loss curves and neighbours, against plain transformers row by row."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, BitsAndBytesConfig

from appliance.domain.recipe import TrainingRecipe
from appliance.stages.language_model.attention import takes_packs
from appliance.stages.language_model.batches import make_batch
from appliance.stages.language_model.device import Device
from appliance.stages.language_model.loading import checkpoint_activations, family_in, keep_weights_in_place, load_base, load_tokenizer
from appliance.stages.language_model.loss import summed_loss, token_losses
from appliance.stages.language_model.tokenized_rows import TokenizedRows, tokenize_rows
from appliance.stages.train.methods import new_learner
from appliance.stages.train.methods.learner import Preparation
from appliance.stages.train.order import Order
from tests.stages.language_model.tiny import facts, write_rows
from tests.stages.train.training import Trained

DTYPES = {torch.float32: 1e-5, torch.bfloat16: 2e-2}
"""Largest difference of gradients, relative to their size."""
STEPS = 100


@pytest.fixture(scope="module")
def rows(base: Path, tmp_path_factory: pytest.TempPathFactory) -> TokenizedRows:
    """Rows of many lengths, with one turn and with two."""
    place = write_rows(tmp_path_factory.mktemp("rows") / "rows.jsonl", facts(11))
    return tokenize_rows(place, load_tokenizer(base), 512, lambda _event: None)


@pytest.fixture(params=[torch.float32, torch.bfloat16], ids=["float32", "bfloat16"])
def device(request: pytest.FixtureRequest, cpu: Device) -> Device:
    """The processor in either arithmetic."""
    return dataclasses.replace(cpu, dtype=request.param)


def adapted(base: Path, device: Device, *, quantize: bool, checkpointing: bool) -> Any:
    """A base with an adapter whose B matrices are not zero, so that all gradients are alive."""
    recipe = TrainingRecipe(method="qlora" if quantize else "lora", rank=4, alpha=8, dropout=0.0)
    model = load_base(base, device, quantize=quantize)
    learner = new_learner(Preparation(model, family_in(base), recipe))
    if checkpointing:
        checkpoint_activations(model)
    torch.manual_seed(2)
    for name, parameter in learner.model.named_parameters():
        if "lora_B" in name:
            parameter.data = torch.randn_like(parameter) * 0.05
    return learner


def row_loss(model: Any, rows: TokenizedRows, row: int) -> torch.Tensor:
    """Summed loss of one row by transformers' own labels, over all positions at once."""
    ids = torch.from_numpy(rows.ids(row).astype(np.int64))[None]
    labels = torch.where(torch.from_numpy(rows.trained(row).copy())[None], ids, -100)
    logits = model(input_ids=ids, use_cache=False).logits[:, :-1].float()
    return torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels[:, 1:].flatten(), ignore_index=-100, reduction="sum")


def flat_gradient(learner: Any) -> torch.Tensor:
    """Gradients of all trained parameters as one vector, taken away from the learner."""
    found = torch.cat([parameter.grad.flatten().double() for parameter in learner.trained])
    for parameter in learner.trained:
        parameter.grad = None
    return found


@pytest.mark.parametrize("checkpointing", [False, True], ids=["kept", "recomputed"])
@pytest.mark.parametrize("quantize", [False, True], ids=["plain", "nf4"])
def test_packed_gradients_are_unpadded_ones(base: Path, device: Device, rows: TokenizedRows, quantize: bool, checkpointing: bool) -> None:
    """The gradients of a pack are those of its rows one by one through plain transformers attention, recomputed or not."""
    learner = adapted(base, device, quantize=quantize, checkpointing=checkpointing)
    model = learner.language_model
    assert takes_packs(model)
    with device.arithmetic():
        loss = summed_loss(model, make_batch(rows, list(range(len(rows))), packed=True))
    loss.backward()
    packed = flat_gradient(learner)
    model.set_attn_implementation("sdpa")
    total = 0.0
    for row in range(len(rows)):
        with device.arithmetic():
            single = row_loss(model, rows, row)
        single.backward()
        total += single.item()
    expected = flat_gradient(learner)
    assert loss.item() == pytest.approx(total, rel=1e-2 * DTYPES[device.dtype] + 1e-6)
    assert ((packed - expected).norm() / expected.norm()).item() <= DTYPES[device.dtype]


@pytest.mark.parametrize("quantize", [False, True], ids=["plain", "nf4"])
def test_neighbours_move_nothing(base: Path, cpu: Device, rows: TokenizedRows, quantize: bool) -> None:
    """A row's losses and the gradients that they cause are the same alone, among others, in another order and among other neighbours."""
    learner = adapted(base, cpu, quantize=quantize, checkpointing=False)
    found = []
    for neighbours in ([3], [3, 0, 1, 2], [2, 1, 3, 0], [8, 9, 3, 10]):
        batch = make_batch(rows, neighbours, packed=True)
        losses = token_losses(learner.language_model, batch)
        begin = sum(int(rows.trained(row).sum()) for row in neighbours[: neighbours.index(3)])
        own = losses[begin : begin + int(rows.trained(3).sum())]
        own.sum().backward()
        found.append((own.detach(), flat_gradient(learner)))
    for losses, gradient in found[1:]:
        torch.testing.assert_close(losses, found[0][0], rtol=1e-5, atol=1e-5)
        assert ((gradient - found[0][1]).norm() / gradient.norm()).item() <= 1e-5


def plain_curve(trained: Trained, rows: TokenizedRows, *, quantize: bool) -> Iterator[float]:
    """The loss of every step by plain transformers, peft and AdamW: one row at a time, the mean over all trained tokens of a step."""
    recipe, base = trained.spec.recipe, trained.spec.base
    nf4 = BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True, bnb_4bit_compute_dtype=torch.float32
    )
    model: Any = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32, quantization_config=nf4 if quantize else None)
    keep_weights_in_place(model)
    layers = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    torch.manual_seed(recipe.seed)
    model = get_peft_model(model, LoraConfig(r=recipe.rank, lora_alpha=recipe.alpha, target_modules=layers, task_type="CAUSAL_LM")).train()
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=recipe.learning_rate, weight_decay=recipe.weight_decay)
    order, warm = Order(rows.lengths(), recipe), math.ceil(recipe.warmup_ratio * STEPS)
    for step in range(STEPS):
        share = (step + 1) / (warm + 1) if step < warm else 0.5 * (1 + math.cos(math.pi * (step - warm) / (STEPS - warm)))
        chosen = [row for pack in order.step(step + 1) for row in pack]
        trained_tokens = sum(int(rows.trained(row).sum()) for row in chosen)
        total = 0.0
        for row in chosen:
            loss = row_loss(model, rows, row) / trained_tokens
            loss.backward()
            total += loss.item()
        torch.nn.utils.clip_grad_norm_(parameters, recipe.max_grad_norm)
        for group in optimizer.param_groups:
            group["lr"] = recipe.learning_rate * share
        optimizer.step()
        optimizer.zero_grad()
        yield total


@pytest.mark.timeout(900)
@pytest.mark.parametrize("method", ["qlora", pytest.param("lora", marks=pytest.mark.slow)])
def test_loss_curve_of_a_hundred_steps(base: Path, tmp_path: Path, method: str) -> None:
    """Over 100 steps the loss stays within 0.2 % of an independent plain reference, packs of several rows and all."""
    settings: dict[str, Any] = {
        "method": method,
        "epochs": 100.0,
        "max_steps": STEPS,
        "dropout": 0.0,
        "learning_rate": 1e-2,
        "batch_size": 4,
    }
    trained = Trained(base, tmp_path / "t", **settings, micro_batch_size=1, max_length=200, save_steps=1000, eval_steps=1000).run()
    rows = tokenize_rows(Path(trained.spec.train_rows), load_tokenizer(base), 200, lambda _event: None)
    expected = list(plain_curve(trained, rows, quantize=method == "qlora"))
    assert expected[-1] < expected[0] - 0.5
    packs = Order(rows.lengths(), trained.spec.recipe).step(1)
    assert 1 < len(packs) < 4
    assert [record.loss for record in trained.history.steps] == pytest.approx(expected, rel=2e-3)
