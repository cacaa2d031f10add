"""What the decoder families share: the layout that began with Llama, its names in llama.cpp, and readings of the config.

Keys and values follow llama.cpp's ``docs`` of GGUF metadata and what its own converter writes for the same configs.
"""

from __future__ import annotations

import math
from typing import Any

from appliance.domain.errors import ApplianceError
from appliance.domain.family import BLOCK_PREFIX, Config

LINEAR_MODULES = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")

BLOCK_TENSORS = {
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}

EMBEDDING = "model.embed_tokens.weight"
HEAD = "lm_head.weight"

OUTER_TENSORS = {EMBEDDING: "token_embd.weight", "model.norm.weight": "output_norm.weight", HEAD: "output.weight"}

MOST_BLOCKS = 4096
"""Far above any model there is: a config that claims more is not a model's."""

DEFAULT_ROPE_THETA = 10_000.0
"""transformers' value for configs that do not say."""


def required(config: Config, key: str) -> int:
    """A positive whole number that a config must have; raises ``config_incomplete`` with the key."""
    value = config.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or value <= 0:
        raise ApplianceError("config_incomplete", key=key)
    return value


def head_size(config: Config) -> int:
    """Width of one attention head."""
    if config.get("head_dim") is not None:
        return required(config, "head_dim")
    return required(config, "hidden_size") // required(config, "num_attention_heads")


def key_value_heads(config: Config) -> int:
    """Number of key/value heads; as many as query heads when the config does not say."""
    if config.get("num_key_value_heads") is not None:
        return required(config, "num_key_value_heads")
    return required(config, "num_attention_heads")


def sliding_window(config: Config) -> int | None:
    """How far back attention reaches in tokens; None for all the way. 4096 is transformers' value for configs that do not say."""
    return None if config.get("sliding_window", 4096) is None else required({"sliding_window": 4096, **config}, "sliding_window")


def embeddings_are_tied(config: Config) -> bool:
    """Whether the head is the embedding: then a stored ``lm_head`` is a copy that nobody reads."""
    return bool(config.get("tie_word_embeddings", False))


def rope_of(config: Config) -> dict[str, Any]:
    """Rotary settings in the newer form, ``{"rope_type", "rope_theta", ...}``, whichever form the config has."""
    rope = dict(config.get("rope_parameters") or config.get("rope_scaling") or {})
    rope.setdefault("rope_type", rope.get("type") or "default")
    rope.setdefault("rope_theta", config.get("rope_theta") or DEFAULT_ROPE_THETA)
    return rope


def decoder_tensors(
    config: Config, *, query_bias: bool = False, output_bias: bool = False, mlp_bias: bool = False, head_norms: bool = False
) -> dict[str, tuple[int, ...]]:
    """Names and shapes (rows, columns) of all tensors; ``query_bias`` is that of q, k and v alike, ``head_norms`` those of q and k."""
    hidden, inner, vocabulary = (required(config, key) for key in ("hidden_size", "intermediate_size", "vocab_size"))
    head, heads, kv_heads = head_size(config), required(config, "num_attention_heads"), key_value_heads(config)
    linear = {
        "self_attn.q_proj": (heads * head, hidden, query_bias),
        "self_attn.k_proj": (kv_heads * head, hidden, query_bias),
        "self_attn.v_proj": (kv_heads * head, hidden, query_bias),
        "self_attn.o_proj": (hidden, heads * head, output_bias),
        "mlp.gate_proj": (inner, hidden, mlp_bias),
        "mlp.up_proj": (inner, hidden, mlp_bias),
        "mlp.down_proj": (hidden, inner, mlp_bias),
    }
    blocks = required(config, "num_hidden_layers")
    if blocks > MOST_BLOCKS:
        raise ApplianceError("config_unsupported", key="num_hidden_layers", value=str(blocks))
    tensors: dict[str, tuple[int, ...]] = {EMBEDDING: (vocabulary, hidden), "model.norm.weight": (hidden,)}
    if not embeddings_are_tied(config):
        tensors[HEAD] = (vocabulary, hidden)
    for block in range(blocks):
        prefix = f"{BLOCK_PREFIX}{block}."
        tensors[f"{prefix}input_layernorm.weight"] = tensors[f"{prefix}post_attention_layernorm.weight"] = (hidden,)
        for module, (rows, columns, has_bias) in linear.items():
            tensors[f"{prefix}{module}.weight"] = (rows, columns)
            if has_bias:
                tensors[f"{prefix}{module}.bias"] = (rows,)
        if head_norms:
            tensors[f"{prefix}self_attn.q_norm.weight"] = tensors[f"{prefix}self_attn.k_norm.weight"] = (head,)
    return tensors


def decoder_metadata(config: Config, window: int | None = None) -> dict[str, int | float | str]:
    """Keys below the architecture's name that all decoder families have; raises ``config_unsupported`` for what llama.cpp has not.

    llama.cpp looks back all the way in these architectures, so the context stops at a sliding ``window``: within it both compute the same.
    """
    longest = required(config, "max_position_embeddings")
    activation = config.get("hidden_act", "silu")
    if activation not in ("silu", "swish"):
        raise ApplianceError("config_unsupported", key="hidden_act", value=str(activation))
    found: dict[str, int | float | str] = {
        "block_count": required(config, "num_hidden_layers"),
        "context_length": longest if window is None else min(longest, window),
        "embedding_length": required(config, "hidden_size"),
        "feed_forward_length": required(config, "intermediate_size"),
        "attention.head_count": required(config, "num_attention_heads"),
        "attention.head_count_kv": key_value_heads(config),
        "rope.freq_base": float(rope_of(config)["rope_theta"]),
        "attention.layer_norm_rms_epsilon": float(config.get("rms_norm_eps", 1e-6)),
    }
    if config.get("head_dim") is not None:
        found["attention.key_length"] = found["attention.value_length"] = head_size(config)
    return found | _rope_scaling(config)


def _rope_scaling(config: Config) -> dict[str, int | float | str]:
    rope = rope_of(config)
    kind = str(rope["rope_type"])
    if kind in ("default", "llama3"):
        return {}  # llama3's factors are a tensor, see llama3_rope_factors
    if kind not in ("linear", "yarn") or "factor" not in rope:
        raise ApplianceError("config_unsupported", key="rope_type", value=kind)
    found: dict[str, int | float | str] = {"rope.scaling.type": kind, "rope.scaling.factor": float(rope["factor"])}
    if kind == "yarn":
        original = rope.get("original_max_position_embeddings") or required(config, "max_position_embeddings")
        found["rope.scaling.original_context_length"] = int(original)
        optional = {
            "extrapolation_factor": "yarn_ext_factor",
            "attention_factor": "yarn_attn_factor",
            "beta_fast": "yarn_beta_fast",
            "beta_slow": "yarn_beta_slow",
        }
        found |= {f"rope.scaling.{ours}": float(rope[theirs]) for theirs, ours in optional.items() if rope.get(theirs) is not None}
    return found


def llama3_rope_factors(config: Config) -> dict[str, list[float]]:
    """Divisors of the rotary frequencies for ``rope_type = llama3``; nothing for any other.

    Long waves are divided by ``factor``, short ones stay, those between go over smoothly (Llama 3.1's published formula).
    """
    rope = rope_of(config)
    if rope["rope_type"] != "llama3":
        return {}
    factor, size = float(rope.get("factor", 8.0)), head_size(config)
    low, high = float(rope.get("low_freq_factor", 1.0)), float(rope.get("high_freq_factor", 4.0))
    context = float(rope.get("original_max_position_embeddings", 8192))
    divisors = []
    for dimension in range(0, size, 2):
        wavelength = 2 * math.pi * float(rope["rope_theta"]) ** (dimension / size)
        if wavelength < context / high:
            divisors.append(1.0)
        elif wavelength > context / low:
            divisors.append(factor)
        else:
            smooth = (context / wavelength - low) / (high - low)
            divisors.append(1 / ((1 - smooth) / factor + smooth))
    return {"rope_freqs.weight": divisors}
