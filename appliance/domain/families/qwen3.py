"""Qwen3, dense: norms on every head of q and k instead of biases, and a head size of its own."""

from __future__ import annotations

from appliance.domain.errors import ApplianceError
from appliance.domain.families.decoder import BLOCK_TENSORS, LINEAR_MODULES, OUTER_TENSORS, decoder_tensors
from appliance.domain.families.qwen2 import qwen_metadata
from appliance.domain.family import Config, Family

HEAD_SIZE = 128
"""transformers' value for configs that do not say; it does not follow from the hidden size."""


def _complete(config: Config) -> Config:
    return config if config.get("head_dim") is not None else {**config, "head_dim": HEAD_SIZE}


def _tensors(config: Config) -> dict[str, tuple[int, ...]]:
    return decoder_tensors(_complete(config), head_norms=True)


def _metadata(config: Config) -> dict[str, int | float | str]:
    if config.get("attention_bias"):
        raise ApplianceError("config_unsupported", key="attention_bias", value="true")  # llama.cpp has none in this family
    return qwen_metadata(_complete(config))


QWEN3 = Family(
    name="Qwen3",
    architectures=("Qwen3ForCausalLM",),
    gguf_architecture="qwen3",
    linear_modules=LINEAR_MODULES,
    block_tensors={**BLOCK_TENSORS, "self_attn.q_norm": "attn_q_norm", "self_attn.k_norm": "attn_k_norm"},
    outer_tensors=OUTER_TENSORS,
    tensors=_tensors,
    metadata=_metadata,
)
