"""What a GPU can do at best: its rate on bf16 matrices, and what a token of training costs by the shape of the base."""

from __future__ import annotations

import sys
import time

import torch

from scripts.training_bench.material import LAYOUT, SHAPES
from scripts.training_bench.settings import RANK


def matrix_rate(device: str, size: int = 8192, seconds: float = 2.0) -> float:
    """Operations per second of bf16 matrices multiplied over and over, in float32 on a processor."""
    kind = torch.bfloat16 if device == "cuda" else torch.float32
    size = size if device == "cuda" else 1024
    left, right = (torch.randn(size, size, device=device, dtype=kind) for _ in range(2))
    products, best = 10, 0.0
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        begun = _now(device)
        for _ in range(products):
            left @ right
        best = max(best, products * 2 * size**3 / (_now(device) - begun))
    return best


def operations(shape: str, row_tokens: float, trained_share: float, recomputed: float) -> float:
    """Of one token there and back: linear layers, adapters, attention within rows of ``row_tokens``, and the head on trained tokens.

    Base weights take one product on the way there and one on the way back, since they get no gradient; the adapter's take two back.
    ``recomputed`` is the share of the blocks that run forward twice.
    """
    hidden, blocks, heads, kv_heads, inner, vocabulary = SHAPES[shape][0]
    assert LAYOUT[0] == "hidden_size"
    narrow = hidden // heads * kv_heads
    layers = [(hidden, hidden), (hidden, narrow), (hidden, narrow), (hidden, hidden), (hidden, inner), (hidden, inner), (inner, hidden)]
    base = 2 * blocks * sum(one * other for one, other in layers)
    adapter = 2 * blocks * RANK * sum(one + other for one, other in layers)
    attention = 2 * blocks * 2 * hidden * row_tokens / 2  # causal: half of the products
    head = 2 * hidden * vocabulary * trained_share
    forward = base + adapter + attention
    return forward * (1 + recomputed) + base + 2 * adapter + 2.5 * attention + 2 * head


def _now(device: str) -> float:
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


if __name__ == "__main__":
    print(matrix_rate(sys.argv[1]))
