"""Llama 2 and 3 and their kin: rows of q and k interleaved for llama.cpp's rotation, frequencies scaled in a tensor of their own."""

from __future__ import annotations

from appliance.domain.families.decoder import (
    BLOCK_TENSORS,
    LINEAR_MODULES,
    OUTER_TENSORS,
    decoder_metadata,
    decoder_tensors,
    head_size,
    llama3_rope_factors,
    required,
)
from appliance.domain.family import Config, Family


def _tensors(config: Config) -> dict[str, tuple[int, ...]]:
    attention, mlp = bool(config.get("attention_bias", False)), bool(config.get("mlp_bias", False))
    return decoder_tensors(config, query_bias=attention, output_bias=attention, mlp_bias=mlp)


def llama_metadata(config: Config, window: int | None = None) -> dict[str, int | float | str]:
    """Of Llama and Mistral: two keys more."""
    sizes = {"vocab_size": required(config, "vocab_size"), "rope.dimension_count": head_size(config)}
    return decoder_metadata(config, window) | sizes


LLAMA = Family(
    name="Llama",
    architectures=("LlamaForCausalLM",),
    gguf_architecture="llama",
    linear_modules=LINEAR_MODULES,
    block_tensors=BLOCK_TENSORS,
    outer_tensors=OUTER_TENSORS,
    tensors=_tensors,
    metadata=llama_metadata,
    computed_tensors=llama3_rope_factors,
    permuted_modules=("self_attn.q_proj", "self_attn.k_proj"),
)
