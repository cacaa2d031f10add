"""The fused low-rank layer is peft's own: values, gradients and what dropout does, quantized and not, in either arithmetic."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch

from appliance.domain.recipe import TrainingRecipe
from appliance.stages.language_model.device import Device
from appliance.stages.language_model.loading import checkpoint_activations, family_in, load_base
from appliance.stages.train.methods import fused_linear, new_learner
from appliance.stages.train.methods.learner import Preparation

LIMITS = {torch.float32: 1e-5, torch.bfloat16: 2e-2}


def adapted(base: Path, device: Device, method: str, dropout: float = 0.0) -> Any:
    """A learner whose B matrices are not zero."""
    recipe = TrainingRecipe(method=method, rank=4, alpha=8, dropout=dropout)  # type: ignore[arg-type]  # one of its names
    learner = new_learner(Preparation(load_base(base, device, quantize=method != "lora"), family_in(base), recipe))
    torch.manual_seed(3)
    for name, parameter in learner.model.named_parameters():
        if "lora_B" in name:
            parameter.data = torch.randn_like(parameter) * 0.05
    return learner


def passes(learner: Any, device: Device, seed: int = 5) -> tuple[torch.Tensor, torch.Tensor]:
    """What the model says to some tokens, and the gradients that follow, as one vector."""
    ids = torch.arange(40).view(2, 20)
    torch.manual_seed(seed)
    with device.arithmetic():
        said = learner.language_model(input_ids=ids, use_cache=False).logits.float()
    said.square().mean().backward()
    gradients = torch.cat([parameter.grad.flatten() for parameter in learner.trained])
    for parameter in learner.trained:
        parameter.grad = None
    return said.detach(), gradients


def layers(learner: Any) -> list[Any]:
    """All layers with an adapter."""
    return [module for module in learner.model.modules() if hasattr(module, "lora_A")]


def apart(one: torch.Tensor, other: torch.Tensor) -> float:
    """Relative to the size of the second."""
    return float((one - other).norm() / other.norm())


@pytest.mark.parametrize("dtype", LIMITS, ids=["float32", "bfloat16"])
@pytest.mark.parametrize("method", ["qlora", "lora", "rslora"])
def test_equals_peft(qwen2: Path, cpu: Device, method: str, dtype: torch.dtype) -> None:
    """Values and gradients are those of peft's own forward."""
    device = dataclasses.replace(cpu, dtype=dtype)
    learner = adapted(qwen2, device, method)
    fused = passes(learner, device)
    for layer in layers(learner):
        assert layer.__dict__.pop("forward").__func__ is fused_linear._forward
    plain = passes(learner, device)
    assert apart(fused[0], plain[0]) <= LIMITS[dtype]
    assert apart(fused[1], plain[1]) <= LIMITS[dtype]


def test_dora_stays_peft(qwen2: Path, cpu: Device) -> None:
    """A layer that does more than A and B keeps peft's forward."""
    assert not [layer for layer in layers(adapted(qwen2, cpu, "dora")) if "forward" in layer.__dict__]


def test_without_adapter_and_in_evaluation(qwen2: Path, cpu: Device) -> None:
    """The reference of preference training is the bare base, and nothing is dropped in evaluation."""
    learner = adapted(qwen2, cpu, "qlora", dropout=0.3)
    ids = torch.arange(20)[None]
    bare = load_base(qwen2, cpu, quantize=True)(input_ids=ids, use_cache=False).logits
    with torch.no_grad(), learner.reference() as reference:
        assert torch.equal(reference(input_ids=ids, use_cache=False).logits, bare)
    learner.model.eval()
    with torch.no_grad():
        once, again = (learner.language_model(input_ids=ids, use_cache=False).logits for _ in range(2))
    assert torch.equal(once, again)
    assert not torch.allclose(once, bare)


@pytest.mark.parametrize("dtype", LIMITS, ids=["float32", "bfloat16"])
def test_dropout_gradients_are_true(dtype: torch.dtype) -> None:
    """With dropout the layer is what its mask says, and its gradients follow: values and gradients against plain operations."""
    torch.manual_seed(1)
    base = torch.nn.Linear(24, 12, dtype=dtype)
    x, a, b = (torch.randn(size, dtype=dtype).requires_grad_() for size in ((3, 7, 24), (4, 24), (12, 4)))
    torch.manual_seed(9)
    out = fused_linear.low_rank_linear(x, a, b, base, 2.0, 0.25)
    torch.manual_seed(9)
    mask = fused_linear._mask(x.detach().flatten(0, -2), 0.25).view(x.shape).to(dtype).abs()
    expected = base(x) + 2.0 * ((x * mask / 0.75) @ a.t()) @ b.t()
    assert 0.5 < mask.mean().item() < 0.95
    assert apart(out.detach().float(), expected.detach().float()) <= LIMITS[dtype]
    pull = torch.randn_like(out)
    found, wanted = (torch.autograd.grad(values, (x, a, b), pull) for values in (out, expected))
    for one, other in zip(found, wanted, strict=True):
        assert apart(one.float(), other.float()) <= LIMITS[dtype]


def test_mask_keeps_the_share() -> None:
    """As many values are kept as dropout says, of any number of values, and each seed draws anew."""
    states = torch.zeros(101, 997)
    torch.manual_seed(4)
    first, second = fused_linear._mask(states, 0.05), fused_linear._mask(states, 0.05)
    assert first.ne(0).float().mean().item() == pytest.approx(0.95, abs=0.004)
    assert not torch.equal(first, second)
    torch.manual_seed(4)
    assert torch.equal(fused_linear._mask(states, 0.05), first)


def test_recomputed_blocks_drop_the_same(qwen2: Path, cpu: Device) -> None:
    """A block that recomputes in the backward pass draws the same mask: gradients are those of a model that keeps everything."""
    learner = adapted(qwen2, cpu, "qlora", dropout=0.2)
    kept = passes(learner, cpu)
    checkpoint_activations(learner.language_model)
    recomputed = passes(learner, cpu)
    assert torch.equal(kept[0], recomputed[0])
    assert apart(recomputed[1], kept[1]) <= 1e-6
    assert apart(passes(learner, cpu, seed=6)[1], kept[1]) > 1e-3
