"""The loss of a language model: cross entropy over the trained tokens only, so that logits of other positions never exist."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.functional import cross_entropy
from torch.utils.checkpoint import checkpoint

from appliance.domain.event import Emit, Progress, Started
from appliance.stages.language_model.attention import takes_packs
from appliance.stages.language_model.batches import Batch, by_length, make_batch
from appliance.stages.language_model.device import Device
from appliance.stages.language_model.packing import best_fit
from appliance.stages.language_model.tokenized_rows import TokenizedRows

TOKENS_AT_ONCE = 1024
"""Trained tokens whose logits exist together: with 152,000 words of vocabulary 0.6 GB in float32."""
PACK_TOKENS = 4096
"""Tokens of one pack where nobody says how many there is room for."""
PADDED_ROWS = 16
"""Rows at once for a model that takes no packs."""


@dataclass(frozen=True)
class MeanLoss:
    """Cross entropy per trained token, in nats."""

    value: float
    tokens: int
    """Over which it was averaged."""


def summed_loss(model: Any, batch: Batch) -> torch.Tensor:
    """Cross entropy summed over the batch's trained tokens, in nats: a scalar in float32.

    ``model`` is transformers' causal language model, adapted in place or not; its decoder and its head are called by themselves.
    """
    return torch.stack(_losses(model, batch, "sum")).sum()


def token_losses(model: Any, batch: Batch) -> torch.Tensor:
    """Cross entropy of each trained token of the batch, in nats: (trained tokens,) in float32."""
    return torch.cat(_losses(model, batch, "none"))


def _losses(model: Any, batch: Batch, reduction: str) -> list[torch.Tensor]:
    """Cross entropies of some trained tokens after the other."""
    head, spoken = model.get_output_embeddings(), _spoken(model, batch)
    if batch.trained_tokens <= TOKENS_AT_ONCE:
        return [_head_loss(head, spoken, batch.targets, reduction)]
    pieces = zip(torch.split(spoken, TOKENS_AT_ONCE), torch.split(batch.targets, TOKENS_AT_ONCE), strict=True)
    # Each piece's logits are made again in the backward pass rather than kept.
    return [checkpoint(_head_loss, head, *piece, reduction, use_reentrant=False) for piece in pieces]


def _spoken(model: Any, batch: Batch) -> torch.Tensor:
    """What the head gets at each position whose next token is trained: (trained tokens, width)."""
    decoder = getattr(model, model.base_model_prefix)
    pack = {} if batch.segments is None else {"position_ids": batch.positions, "segments": batch.segments}
    hidden: torch.Tensor = decoder(input_ids=batch.ids, use_cache=False, **pack).last_hidden_state
    return hidden.flatten(0, 1).index_select(0, batch.speaking)


def _head_loss(head: torch.nn.Module, hidden: torch.Tensor, targets: torch.Tensor, reduction: str) -> torch.Tensor:
    return cross_entropy(head(hidden).float(), targets, reduction=reduction)


def mean_loss(
    model: Any,
    rows: TokenizedRows,
    device: Device,
    pack_tokens: int = PACK_TOKENS,
    padded_rows: int = PADDED_ROWS,
    emit: Emit | None = None,
    between: Callable[[], None] = lambda: None,
) -> MeanLoss:
    """Loss per trained token over all rows, without gradients and without dropout; the model's mode is as before afterwards.

    ``pack_tokens`` go through a model that takes packs at once, ``padded_rows`` through another one; ``between`` is called before each.
    """
    if emit:
        emit(Started(len(rows), "rows", "loss"))
    done = 0
    was_training = model.training
    model.eval()
    total, tokens = 0.0, 0
    packed, lengths, everything = takes_packs(model), rows.lengths(), range(len(rows))
    try:
        with torch.no_grad(), device.arithmetic():
            for chosen in best_fit(lengths, everything, pack_tokens) if packed else by_length(lengths, everything, padded_rows):
                between()
                batch = make_batch(rows, chosen, packed=packed).to(device.torch_device)
                total += summed_loss(model, batch).item()
                tokens += batch.trained_tokens
                done += len(chosen)
                if emit:
                    emit(Progress(done))
    finally:
        model.train(was_training)
    return MeanLoss(total / tokens, tokens)
