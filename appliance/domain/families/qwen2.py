"""Qwen2 and Qwen2.5: biases on q, k and v."""

from __future__ import annotations

from appliance.domain.families.decoder import (
    BLOCK_TENSORS,
    LINEAR_MODULES,
    OUTER_TENSORS,
    decoder_metadata,
    decoder_tensors,
    sliding_window,
)
from appliance.domain.family import Config, Family


def _tensors(config: Config) -> dict[str, tuple[int, ...]]:
    return decoder_tensors(config, query_bias=True)


def qwen_metadata(config: Config) -> dict[str, int | float | str]:
    """Of Qwen2 and Qwen3: the sliding window counts only where the config turns it on."""
    return decoder_metadata(config, sliding_window(config) if config.get("use_sliding_window") else None)


QWEN2 = Family(
    name="Qwen2",
    architectures=("Qwen2ForCausalLM",),
    gguf_architecture="qwen2",
    linear_modules=LINEAR_MODULES,
    block_tensors=BLOCK_TENSORS,
    outer_tensors=OUTER_TENSORS,
    tensors=_tensors,
    metadata=qwen_metadata,
)
