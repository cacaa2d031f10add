"""Attention for packs: rows that lie behind one another in one sequence, none of which sees another.

Registered with transformers under the name ``greenwave_pack``. Where the rows begin and end reaches every block as the keyword
``segments`` of the decoder's call, also when a block computes again in the backward pass; there is no mask, and no matrix of tokens ×
tokens. On a GPU the variable-length kernel of torch itself does the work (compute capability 8.0 and newer, bfloat16 or float16);
elsewhere every row goes through torch's scaled dot-product attention by itself. Without ``segments`` it is transformers' own ``sdpa``.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch.nn.functional import scaled_dot_product_attention

from appliance.stages.language_model.lean_transformers import (
    AttentionInterface,
    AttentionMaskInterface,
    sdpa_attention_forward,
    sdpa_mask,
)

PACK_ATTENTION = "greenwave_pack"

_VARLEN_CAPABILITY = (8, 0)
_VARLEN_LARGEST_HEAD = 256


@dataclass(frozen=True)
class Segments:
    """Where the rows of a pack lie."""

    lengths: tuple[int, ...]
    """Tokens of each row."""
    bounds: torch.Tensor
    """First token of each row and the end of the last: (rows + 1,), int32, where the pack is."""

    @classmethod
    def of(cls, lengths: Sequence[int]) -> Segments:
        """Segments of these lengths, on the CPU."""
        return cls(tuple(lengths), torch.tensor([0, *lengths]).cumsum(0).to(torch.int32))

    def to(self, device: torch.device) -> Segments:
        """The same segments on a device."""
        return Segments(self.lengths, self.bounds.pin_memory().to(device, non_blocking=True))


def takes_packs(model: Any) -> bool:
    """Whether a model keeps the rows of a pack apart; another one must get its rows padded."""
    return getattr(getattr(model, "config", None), "_attn_implementation", "") == PACK_ATTENTION


def pack_attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    *,
    segments: Segments | None = None,
    sliding_window: int | None = None,
    **others: Any,
) -> tuple[torch.Tensor, None]:
    """What transformers asks of an attention: query (1, heads, tokens, size), key and value (1, fewer heads, tokens, size) to
    (1, tokens, heads, size).

    ``sliding_window`` is how many tokens back, itself included, a token sees.
    """
    if segments is None:
        found: tuple[torch.Tensor, None] = sdpa_attention_forward(module, query, key, value, attention_mask, dropout, scaling, **others)
        return found
    if key.shape[2] != query.shape[2] or query.shape[0] != 1:
        raise ValueError("a pack is one sequence and has no cache")
    window = sliding_window if sliding_window is not None and sliding_window < max(segments.lengths) else None
    if dropout == 0.0 and _kernel_takes(query, window):
        return _by_kernel(query, key, value, segments, scaling, window), None
    return _row_by_row(query, key, value, segments, dropout, scaling, window), None


def _row_by_row(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    segments: Segments,
    dropout: float,
    scaling: float | None,
    window: int | None,
) -> torch.Tensor:
    # Split rather than sliced: the backward pass of a slice fills a whole pack with zeros, for every row anew.
    rows = zip(*(states.split(segments.lengths, dim=2) for states in (query, key, value)), strict=True)
    grouped = key.shape[1] != query.shape[1]
    found = []
    for row_query, row_key, row_value in rows:
        band = _band(row_query.shape[2], window, query.device)
        attended = scaled_dot_product_attention(
            row_query, row_key, row_value, band, dropout, is_causal=band is None, scale=scaling, enable_gqa=grouped
        )
        found.append(attended.transpose(1, 2))
    return torch.cat(found, dim=1)


def _band(length: int, window: int | None, device: torch.device) -> torch.Tensor | None:
    """Which tokens each token of one row sees through a sliding window; None when it is all before it."""
    if window is None or length <= window:
        return None
    return torch.ones(length, length, dtype=torch.bool, device=device).tril().triu(1 - window)


def _kernel_takes(query: torch.Tensor, window: int | None) -> bool:
    half = query.dtype in (torch.bfloat16, torch.float16)
    if not query.is_cuda or not half or query.shape[-1] > _VARLEN_LARGEST_HEAD:
        return False
    if torch.cuda.get_device_capability(query.device) < _VARLEN_CAPABILITY:
        return False
    return window is None or "window_size" in _kernel()[1]


@cache
def _kernel() -> tuple[Any, frozenset[str]]:
    """torch's kernel and the names of its parameters, which differ from one version to the next."""
    from torch.nn.attention.varlen import varlen_attn

    return varlen_attn, frozenset(inspect.signature(varlen_attn).parameters)


def _by_kernel(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, segments: Segments, scaling: float | None, window: int | None
) -> torch.Tensor:
    (kernel, known), heads = _kernel(), query.shape[1]
    choices: dict[str, Any] = {}
    if "window_size" in known:
        choices["window_size"] = (-1 if window is None else window - 1, 0)
    else:
        choices["is_causal"] = True
    if "enable_gqa" in known:
        choices["enable_gqa"] = key.shape[1] != heads
    else:
        key, value = (states.repeat_interleave(heads // states.shape[1], dim=1) for states in (key, value))
    if scaling is not None and "scale" in known:
        choices["scale"] = scaling
    elif scaling is not None:
        query = query * (scaling * query.shape[-1] ** 0.5)
    longest = max(segments.lengths)
    states = (states[0].transpose(0, 1) for states in (query, key, value))
    attended: torch.Tensor = kernel(*states, segments.bounds, segments.bounds, longest, longest, **choices)
    return attended[None]


def _mask(
    *, q_length: int, kv_length: int, attention_mask: torch.Tensor | None = None, allow_is_causal_skip: bool = True, **others: Any
) -> torch.Tensor | None:
    """None for a pack, which transformers recognises by its positions and would make a mask of tokens × tokens for."""
    if attention_mask is None and q_length == kv_length and not allow_is_causal_skip:
        return None
    choices = {"attention_mask": attention_mask, "allow_is_causal_skip": allow_is_causal_skip, **others}
    mask: torch.Tensor | None = sdpa_mask(q_length=q_length, kv_length=kv_length, **choices)
    return mask


AttentionInterface.register(PACK_ATTENTION, pack_attention)
AttentionMaskInterface.register(PACK_ATTENTION, _mask)
