"""A linear layer with its low-rank adapter as one function: x·Wᵀ + bias + (alpha / rank) · (dropout(x)·Aᵀ)·Bᵀ.

What peft spreads over a dozen operations, most of which copy or convert all activations, is here three matrix products forward and five
backward. Kept for the backward pass are the input (once, where layers share it), which of its values were dropped, and the rank-wide
values between A and B. NF4 weights become numbers once on the way there and once on the way back, as in bitsandbytes. It is the same
mathematics, for every case that it does not know peft's own code goes on to do the work.
"""

from __future__ import annotations

import types
from typing import Any

import numpy as np
import torch
from torch.autograd.function import once_differentiable

_LEVELS = 1 << 15
"""Of the share of kept values."""


def fuse(model: torch.nn.Module) -> int:
    """Give every plain low-rank layer of peft's the fused function; returns how many there are."""
    from peft.tuners.lora import LoraLayer

    fused = 0
    for module in model.modules():
        if isinstance(module, LoraLayer) and isinstance(module.base_layer, torch.nn.Linear) and not module.lora_variant:
            module.forward = types.MethodType(_forward, module)
            fused += 1
    return fused


def _forward(module: Any, x: torch.Tensor, *arguments: Any, **others: Any) -> torch.Tensor:
    """In place of peft's own, which does whatever is not training with the one adapter."""
    active = module.active_adapters
    if module.disable_adapters or module.merged or not module.training or len(active) != 1 or arguments or others:
        return type(module).forward(module, x, *arguments, **others)  # type: ignore[no-any-return]  # peft's layers are untyped
    adapter = active[0]
    dropout = module.lora_dropout[adapter]
    share = dropout.p if isinstance(dropout, torch.nn.Dropout) else 0.0
    weights = module.lora_A[adapter].weight, module.lora_B[adapter].weight
    return low_rank_linear(x, *weights, module.base_layer, module.scaling[adapter], share)


def low_rank_linear(x: torch.Tensor, a: torch.Tensor, b: torch.Tensor, base: Any, scale: float, dropped: float) -> torch.Tensor:
    """``base(x) + scale · (dropout(x)·Aᵀ)·Bᵀ``: x (…, inputs), A (rank, inputs), B (outputs, rank) to (…, outputs)."""
    found: torch.Tensor = _LowRankLinear.apply(x, a, b, base, scale, dropped)  # type: ignore[no-untyped-call]  # torch's
    return found


class _LowRankLinear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, a: torch.Tensor, b: torch.Tensor, base: Any, scale: float, dropped: float) -> torch.Tensor:
        kind = _arithmetic(x)
        states = x.flatten(0, -2).to(kind)
        bias = None if base.bias is None else base.bias.to(kind)
        out = torch.nn.functional.linear(states, _weight(base, kind), bias)
        mask = _mask(states, dropped) if dropped else None
        scale /= 1.0 - dropped
        low = _kept(states, mask) @ a.to(kind).t()
        out.addmm_(low, b.to(kind).t(), alpha=scale)
        ctx.save_for_backward(states, low, mask, a, b)
        ctx.base, ctx.scale, ctx.shape, ctx.dtype = base, scale, x.shape, x.dtype
        return out.view(*x.shape[:-1], -1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        states, low, mask, a, b = ctx.saved_tensors
        kind = states.dtype
        wanted = gradient.flatten(0, -2).to(kind)
        between = (wanted @ b.to(kind)) * ctx.scale
        of_a = (between.t() @ _kept(states, mask)).to(a.dtype)
        of_b = (wanted.t() @ low).to(b.dtype).mul_(ctx.scale)
        of_x = None
        if ctx.needs_input_grad[0]:
            of_x = _keep_in_place(between @ a.to(kind), mask)
            of_x = of_x.addmm_(wanted, _weight(ctx.base, kind)).to(ctx.dtype).view(ctx.shape)
        return of_x, of_a, of_b, None, None, None


def _arithmetic(x: torch.Tensor) -> torch.dtype:
    """Of the products: autocast's, where it is on."""
    return torch.get_autocast_dtype(x.device.type) if torch.is_autocast_enabled(x.device.type) else x.dtype


def _weight(base: Any, kind: torch.dtype) -> torch.Tensor:
    """A base layer's weights as numbers, (outputs, inputs)."""
    weight = base.weight
    state = getattr(weight, "quant_state", None) or getattr(base, "quant_state", None)
    if state is None:
        return weight.to(kind)  # type: ignore[no-any-return]  # a parameter of an untyped layer
    from bitsandbytes.functional import dequantize_4bit

    return dequantize_4bit(weight.data.view(-1, 1), state).to(kind)  # type: ignore[no-any-return]  # bitsandbytes is not followed


def _mask(states: torch.Tensor, dropped: float) -> torch.Tensor:
    """Which values dropout keeps, of the shape of ``states``: on a CPU all bits of a 16-bit number or none, elsewhere a truth value.

    Torch draws one number after the other on one core, for every value anew, which took a fifth of a step; four values are drawn
    at once here, and the share of kept ones is exact to 2⁻¹⁵. All follows from torch's own seed, so a step can be done again.
    """
    if states.device.type != "cpu":
        return torch.empty(states.shape, dtype=torch.bool, device=states.device).bernoulli_(1.0 - dropped)
    seed = int(torch.randint(1 << 62, ()))
    count = states.numel()
    drawn = np.random.Generator(np.random.SFC64(seed)).integers(0, 1 << 64, -(-count // 4), dtype=np.uint64)
    bits = torch.from_numpy(drawn.view(np.int16))[:count]
    # Fifteen random bits less the threshold are negative where the value is kept, and the shift spreads the sign over all bits.
    return bits.bitwise_and_(_LEVELS - 1).sub_(round((1.0 - dropped) * _LEVELS)).bitwise_right_shift_(15).view(states.shape)


def _kept(states: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
    """The values that were not dropped, zero elsewhere; not yet scaled."""
    if mask is None:
        return states
    if mask.dtype == torch.bool:
        return states * mask
    whole = _as_bits(states)
    return (whole & (mask if whole.dtype == mask.dtype else mask.to(whole.dtype))).view(states.dtype)


def _keep_in_place(values: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
    if mask is None:
        return values
    if mask.dtype == torch.bool:
        return values.mul_(mask)
    whole = _as_bits(values)
    whole &= mask if whole.dtype == mask.dtype else mask.to(whole.dtype)
    return values


def _as_bits(values: torch.Tensor) -> torch.Tensor:
    return values.view({2: torch.int16, 4: torch.int32, 8: torch.int64}[values.element_size()])
