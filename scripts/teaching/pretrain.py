"""The teaching model's shape and its pre-training from random weights, on the CPU, in a few minutes."""

import itertools
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from tokenizers import Tokenizer
from torch.nn import functional
from transformers import Qwen2Config, Qwen2ForCausalLM

from .text import END, TURN_END, documents
from .tokenizer import LONGEST_CONTEXT

HIDDEN = 256
INTERMEDIATE = 512
LAYERS = 4
HEADS = 4
KEY_VALUE_HEADS = 2
ROPE_THETA = 10000.0


@dataclass(frozen=True)
class Plan:
    """How long and how fast to train."""

    steps: int = 900
    tokens_per_step: int = 2048
    learning_rate: float = 3e-3
    warm_up: int = 60
    weight_decay: float = 0.01
    question_weight: float = 0.1
    """Weight of the loss on questions and markup: mostly names drawn by chance, which nobody can predict."""


@dataclass(frozen=True)
class Batch:
    """Documents of similar length, padded on the right. ids, weights: [rows, length]; weights are 0 on padding."""

    ids: torch.Tensor
    weights: torch.Tensor


def empty_model(tokenizer: Tokenizer, seed: int) -> Qwen2ForCausalLM:
    """A model of the teaching shape with random weights. All widths are multiples of 256, as Q4_K needs them."""
    torch.manual_seed(seed)
    config = Qwen2Config(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=HIDDEN,
        intermediate_size=INTERMEDIATE,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        num_key_value_heads=KEY_VALUE_HEADS,
        max_position_embeddings=LONGEST_CONTEXT,
        rope_parameters={"rope_type": "default", "rope_theta": ROPE_THETA},
        tie_word_embeddings=True,
        initializer_range=0.04,
        eos_token_id=tokenizer.token_to_id(TURN_END),
        pad_token_id=tokenizer.token_to_id(END),
        bos_token_id=None,
    )
    return Qwen2ForCausalLM(config)


def batches(tokenizer: Tokenizer, plan: Plan, seed: int, taken: frozenset[str]) -> Iterator[Batch]:
    """Batches of about `tokens_per_step` tokens; documents of similar length go together, so little is padding."""
    stream = documents(seed, taken)
    order = torch.Generator().manual_seed(seed)
    pad = int(tokenizer.token_to_id(END) or 0)
    while True:
        rows: list[tuple[list[int], list[float]]] = []
        for _ in range(1024):
            ids: list[int] = []
            weights: list[float] = []
            for piece in next(stream):
                encoded = tokenizer.encode(piece.text).ids
                ids += encoded
                weights += [1.0 if piece.is_answer else plan.question_weight] * len(encoded)
            rows.append((ids, weights))
        rows.sort(key=lambda row: len(row[0]))
        groups: list[list[tuple[list[int], list[float]]]] = [[]]
        for row in rows:
            if len(row[0]) * (len(groups[-1]) + 1) > plan.tokens_per_step:
                groups.append([])
            groups[-1].append(row)
        for position in torch.randperm(len(groups), generator=order).tolist():
            yield _padded(groups[position], pad)


def _padded(rows: list[tuple[list[int], list[float]]], pad: int) -> Batch:
    """The rows as tensors. Causal attention never looks to the right, so right padding needs no mask."""
    length = max(len(ids) for ids, _ in rows)
    ids = torch.full((len(rows), length), pad)
    weights = torch.zeros(len(rows), length)
    for position, (row_ids, row_weights) in enumerate(rows):
        ids[position, : len(row_ids)] = torch.tensor(row_ids)
        weights[position, : len(row_weights)] = torch.tensor(row_weights)
    return Batch(ids, weights)


def weighted_loss(model: Qwen2ForCausalLM, batch: Batch) -> torch.Tensor:
    """Mean next-token loss, in nats per token, weighted as the batch says."""
    logits = model(input_ids=batch.ids, use_cache=False).logits[:, :-1]
    losses = functional.cross_entropy(logits.flatten(0, 1).float(), batch.ids[:, 1:].flatten(), reduction="none")
    weights = batch.weights[:, 1:].flatten()
    return (losses * weights).sum() / weights.sum()


def learning_rate_at(step: int, plan: Plan) -> float:
    """Linear warm-up, then cosine down to a fiftieth."""
    if step < plan.warm_up:
        return plan.learning_rate * (step + 1) / plan.warm_up
    done = (step - plan.warm_up) / max(1, plan.steps - plan.warm_up)
    return plan.learning_rate * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * done)))


def cpu_multiplies_bf16() -> bool:
    """Whether this CPU has bfloat16 arithmetic; elsewhere bf16 would only be slower."""
    flags = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace")
    return "avx512_bf16" in flags or "amx_bf16" in flags


def pretrain(
    tokenizer: Tokenizer, plan: Plan, seed: int, taken: frozenset[str], tell: Callable[[int, float], None]
) -> tuple[Qwen2ForCausalLM, dict[str, float]]:
    """Train from random weights; returns the model (f32) and the figures of the training.

    `tell(step, loss)` is called every 50 steps. Figures: tokens, cpu_seconds, final_loss (see `held_out_loss`).
    """
    model = empty_model(tokenizer, seed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=plan.learning_rate, betas=(0.9, 0.98), weight_decay=plan.weight_decay, fused=True)
    stream = batches(tokenizer, plan, seed, taken)
    started = time.process_time()
    tokens = 0
    bf16 = cpu_multiplies_bf16()
    for step in range(plan.steps):
        batch = next(stream)
        tokens += int((batch.weights > 0).sum())
        for group in optimizer.param_groups:
            group["lr"] = learning_rate_at(step, plan)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bf16):
            loss = weighted_loss(model, batch)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        if step % 50 == 49:
            tell(step + 1, loss.item())
    seconds = time.process_time() - started
    # The base is stored in bf16 as real bases are, so it is measured as it will be stored.
    model.to(torch.bfloat16).to(torch.float32)
    figures = {"tokens": tokens, "cpu_seconds": round(seconds), "final_loss": held_out_loss(model, tokenizer, plan, seed, taken)}
    return model, figures


def held_out_loss(model: Qwen2ForCausalLM, tokenizer: Tokenizer, plan: Plan, seed: int, taken: frozenset[str]) -> float:
    """Mean loss per answer token, in nats, over 20 batches that no training step saw."""
    unseen = batches(tokenizer, plan, seed + 1_000_003, taken)
    total = weight = 0.0
    with torch.no_grad():
        for batch in itertools.islice(unseen, 20):
            answers = Batch(batch.ids, (batch.weights == 1.0).float())
            answer_tokens = float(answers.weights[:, 1:].sum())
            total += float(weighted_loss(model, answers)) * answer_tokens
            weight += answer_tokens
    return round(total / weight, 4)
