"""Adapters of every kind that is merged, on tiny bases."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast

from appliance.files.safetensors_header import read_header
from tests.stages.export.tiny_base import make_adapter

ADAPTERS: dict[str, dict[str, Any]] = {
    "plain": {},
    "rslora": {"use_rslora": True, "r": 8},
    "dora": {"use_dora": True},
    "dora rslora": {"use_dora": True, "use_rslora": True, "target_modules": ["q_proj", "down_proj"]},
    "patterns": {"rank_pattern": {"q_proj": 2, "1.mlp.down_proj": 6}, "alpha_pattern": {"self_attn.v_proj": 3, "layers.0.mlp.up_proj": 5}},
    "some modules": {"target_modules": ["q_proj", "down_proj"]},
    "head": {"target_modules": ["lm_head", "k_proj"]},
    "embedding": {"target_modules": ["embed_tokens", "k_proj"]},
    "saved modules": {"target_modules": ["q_proj"], "modules_to_save": ["embed_tokens", "lm_head", "input_layernorm"]},
    "saved embedding": {"target_modules": ["q_proj"], "modules_to_save": ["embed_tokens"]},
    "tokens": {"target_modules": ["q_proj"], "trainable_token_indices": [3, 271, 40]},
    "new tokens": {"target_modules": ["q_proj"], "trainable_token_indices": [690, 691, 692], "rows": 693},
    "new tokens saved": {"target_modules": ["q_proj"], "modules_to_save": ["embed_tokens", "lm_head"], "rows": 701},
    "scaling": {"target_modules": ["k_proj", "v_proj", "down_proj"], "scaled_inputs": ["down_proj"]},
    "scaling of much": {
        "target_modules": ["q_proj", "o_proj", "gate_proj", "lm_head"],
        "scaled_inputs": ["o_proj"],
        "modules_to_save": ["norm"],
    },
    "rows only": {"target_modules": ["q_proj"], "rows": 702},
}
"""Name → peft's settings, and ``rows`` where the base's vocabulary is made larger."""

PARTING = {"head", "embedding", "saved modules", "saved embedding", "new tokens saved", "scaling of much"}
"""Kinds that give a tied embedding and its head different weights."""


def make_kind(kind: str, folder: Path, base: Path) -> Path:
    """An adapter of this kind for a base; one that needs tokens of its own brings its tokenizer."""
    settings = dict(ADAPTERS[kind])
    adapter = make_adapter(folder, base, **settings)
    if "rows" in settings:
        tokenizer = PreTrainedTokenizerFast.from_pretrained(base, local_files_only=True)
        tokenizer.add_tokens([f"词{number}" for number in range(len(tokenizer), settings["rows"] - 1)])
        tokenizer.save_pretrained(folder)
    return adapter


def load_tuned(base: Path, adapter: Path) -> Any:
    """Base + adapter as peft loads them, in f32; the base has the rows that the adapter was trained with."""
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    stored = read_header(adapter / "adapter_model.safetensors")
    rows = {tensor.shape[0] for name, tensor in stored.items() if "embed_tokens" in name and name.endswith("weight")}
    if rows:
        model.resize_token_embeddings(max(rows), mean_resizing=False)
    return PeftModel.from_pretrained(model, str(adapter))


def logits_of(model: Any) -> torch.Tensor:
    """Logits of a fixed text of 60 tokens: (tokens, vocabulary)."""
    ids = torch.randint(0, 300, (1, 60), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        logits: torch.Tensor = model(ids).logits[0]
    return logits
