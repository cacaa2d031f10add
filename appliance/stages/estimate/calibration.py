"""How fast a method is on this machine: one block of the base with random weights, forward and back, and a slice of its head.

The time of a block does not depend on what its weights are, and all blocks are alike: so a base of any size is measured in seconds and
in the memory of one block.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import msgspec
import torch
from torch.nn.functional import cross_entropy
from transformers import AutoConfig, AutoModelForCausalLM

from appliance.domain.family import Config, Family
from appliance.domain.memory import LOGITS_AT_ONCE, Load
from appliance.domain.methods import METHODS
from appliance.domain.plan import Speed
from appliance.domain.recipe import TrainingRecipe
from appliance.stages.language_model.attention import PACK_ATTENTION
from appliance.stages.language_model.device import Device
from appliance.stages.language_model.loading import keep_weights_in_place
from appliance.stages.train.methods import new_learner
from appliance.stages.train.methods.learner import Preparation

WORDS = 4096
"""Rows of the head that are measured; its time grows with their number."""
MOST_TOKENS = 512
"""Of the measured sequence on a CPU; a GPU is slow on short ones and gets eight times as many."""
_REPEATS, _SECONDS = 6, 0.6
"""Most repeats after a first time that counts for nothing, and how long there are more; the quickest is taken."""


def measure_speed(config: Config, family: Family, recipe: TrainingRecipe, device: Device, load: Load) -> Speed:
    """Seconds per token of the recipe's method."""
    method = METHODS[recipe.method]
    tokens = min(load.longest, MOST_TOKENS * (1 if device.kind == "cpu" else 8))
    rows = max(1, min(load.tokens // max(1, load.longest), MOST_TOKENS // tokens))
    model = _one_block(config, family, device, quantize=method.quantizes_base)
    learner = new_learner(Preparation(model, family, msgspec.structs.replace(recipe, unfreeze="off")))
    ids = torch.randint(0, model.config.vocab_size, (rows, tokens), device=device.torch_device)
    decoder = getattr(learner.language_model, learner.language_model.base_model_prefix)
    with device.arithmetic():
        forward, both = _timed(lambda: decoder(input_ids=ids, use_cache=False).last_hidden_state, device)
        head = _head_seconds(model, device, min(LOGITS_AT_ONCE, rows * tokens))
    count = rows * tokens
    whole_head = head * int(config["vocab_size"]) / model.config.vocab_size
    return Speed(method=recipe.method, forward=forward / count, backward=max(0.0, both - forward) / count, head=whole_head)


def _one_block(config: Config, family: Family, device: Device, *, quantize: bool) -> Any:
    """A model of one block and a small vocabulary, its linear layers in NF4 where the method wants it."""
    small = {name: value for name, value in config.items() if name not in ("architectures", "model_type", "quantization_config")}
    small |= {"num_hidden_layers": 1, "vocab_size": min(WORDS, int(config["vocab_size"])), "pad_token_id": None, "use_cache": False}
    small.pop("layer_types", None)
    shape = AutoConfig.for_model(str(config["model_type"]), **small)
    dtype = device.dtype if quantize else torch.float32
    model = AutoModelForCausalLM.from_config(shape, attn_implementation=PACK_ATTENTION, dtype=dtype)
    model.requires_grad_(False)
    if quantize:
        _quantize(model, family, device)
    return model.to(device.torch_device)


def _quantize(model: Any, family: Family, device: Device) -> None:
    from bitsandbytes.nn.modules import Linear4bit, Params4bit

    for name, module in list(model.named_modules()):
        if name.rsplit(".", 1)[-1] not in family.linear_modules:
            continue
        bias = module.bias is not None
        small = Linear4bit(module.in_features, module.out_features, bias, compute_dtype=device.dtype, quant_type="nf4")
        small.weight = Params4bit(module.weight.data, requires_grad=False, quant_type="nf4", compress_statistics=True)
        if bias:
            small.bias = module.bias
        model.set_submodule(name, small.to(device.torch_device))
    keep_weights_in_place(model)
    model.is_loaded_in_4bit = True  # peft looks here


def _timed(work: Callable[[], torch.Tensor], device: Device) -> tuple[float, float]:
    """Seconds of the way there, and of there and back; the quickest of some tries."""
    forward = both = float("inf")
    began = _now(device)
    for attempt in range(_REPEATS + 1):
        if attempt > 1 and _now(device) - began > _SECONDS:
            break
        begun = _now(device)
        found = work()
        there = _now(device)
        found.float().sum().backward()
        if attempt:
            forward, both = min(forward, there - begun), min(both, _now(device) - begun)
    return forward, both


def _head_seconds(model: Any, device: Device, tokens: int) -> float:
    """Of one trained token through the small head and its loss, there and back."""
    head = model.get_output_embeddings()
    hidden = torch.randn(tokens, model.config.hidden_size, device=device.torch_device, dtype=head.weight.dtype, requires_grad=True)
    targets = torch.randint(0, model.config.vocab_size, (tokens,), device=device.torch_device)
    return _timed(lambda: cross_entropy(head(hidden).float(), targets, reduction="sum"), device)[1] / tokens


def _now(device: Device) -> float:
    if device.kind == "cuda":
        torch.cuda.synchronize(device.torch_device)
    return time.perf_counter()
