"""Writes the teaching base as a folder that looks like a downloaded base model: configuration, weights, tokenizer, card."""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer
from transformers import Qwen2ForCausalLM

from .model_card import model_card
from .pretrain import HEADS, HIDDEN, INTERMEDIATE, KEY_VALUE_HEADS, LAYERS, ROPE_THETA
from .text import END, TURN_END
from .tokenizer import LONGEST_CONTEXT, save_tokenizer

WEIGHTS = "model.safetensors"
TRAINING = "training.json"


def write_base(folder: Path, model: Qwen2ForCausalLM, tokenizer: Tokenizer, training: dict[str, Any]) -> None:
    """Write the whole base folder. `training` is what training.json and the card say about how it was made."""
    folder.mkdir(parents=True, exist_ok=True)
    write_settings(folder, tokenizer)
    tied = "lm_head.weight"  # the same tensor as the embedding, so it is stored once
    weights = {name: tensor.to(torch.bfloat16).contiguous() for name, tensor in model.state_dict().items() if name != tied}
    save_file(weights, folder / WEIGHTS, metadata={"format": "pt"})
    (folder / WEIGHTS).chmod(0o644)  # safetensors writes files that only their owner may read
    training["parameters"] = sum(tensor.numel() for tensor in weights.values())
    _write_json(folder / TRAINING, training)
    (folder / "README.md").write_text(model_card(training), encoding="utf-8")


def write_settings(folder: Path, tokenizer: Tokenizer) -> None:
    """Write the files that do not depend on training: tokenizer, config.json, generation_config.json."""
    save_tokenizer(tokenizer, folder)
    _write_json(folder / "config.json", configuration(tokenizer))
    ends = [tokenizer.token_to_id(TURN_END), tokenizer.token_to_id(END)]
    generation = {"do_sample": False, "eos_token_id": ends, "pad_token_id": tokenizer.token_to_id(END)}
    _write_json(folder / "generation_config.json", generation)


def configuration(tokenizer: Tokenizer) -> dict[str, Any]:
    """config.json in the layout of Qwen2.5's own."""
    return {
        "architectures": ["Qwen2ForCausalLM"],
        "attention_dropout": 0.0,
        "bos_token_id": None,
        "eos_token_id": tokenizer.token_to_id(TURN_END),
        "hidden_act": "silu",
        "hidden_size": HIDDEN,
        "initializer_range": 0.02,
        "intermediate_size": INTERMEDIATE,
        "max_position_embeddings": LONGEST_CONTEXT,
        "model_type": "qwen2",
        "num_attention_heads": HEADS,
        "num_hidden_layers": LAYERS,
        "num_key_value_heads": KEY_VALUE_HEADS,
        "pad_token_id": tokenizer.token_to_id(END),
        "rms_norm_eps": 1e-06,
        "rope_theta": ROPE_THETA,
        "tie_word_embeddings": True,
        "torch_dtype": "bfloat16",
        "use_cache": True,
        "use_sliding_window": False,
        "vocab_size": tokenizer.get_vocab_size(),
    }


def _write_json(path: Path, fields: dict[str, Any]) -> None:
    path.write_text(json.dumps(fields, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
