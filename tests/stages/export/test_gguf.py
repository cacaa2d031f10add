"""The GGUF file as llama.cpp sees it: the same model, the same tokens, everything inside."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import llama_cpp
import numpy as np
import pytest
import torch
from gguf import GGUFReader
from peft import PeftModel
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM, AutoTokenizer

from appliance.domain.event import Started
from appliance.files.checksum import file_sha256
from appliance.stages.export.probe_texts import probe_texts
from appliance.stages.language_model.loading import load_tokenizer
from tests.stages.export.conftest import Export
from tests.stages.export.sentencepiece_tokenizer import INSTRUCTIONS
from tests.stages.export.tiny_base import CHATML, LLAMA3_CHAT, make_adapter, make_base

LLAMA3_SCALING = {
    "rope_type": "llama3",
    "rope_theta": 10_000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}
YARN = {"rope_type": "yarn", "rope_theta": 10_000.0, "factor": 4.0, "original_max_position_embeddings": 512}
SHAPES: list[tuple[str, dict[str, Any]]] = [
    ("qwen2", {}),
    ("qwen2", {"tie_word_embeddings": True, "num_key_value_heads": 4}),
    ("qwen2", {"rope_parameters": YARN}),
    ("qwen2", {"rope_parameters": {"rope_type": "linear", "rope_theta": 5000.0, "factor": 2.0}}),
    ("llama", {"num_key_value_heads": 1}),
    ("llama", {"tie_word_embeddings": True, "rope_parameters": LLAMA3_SCALING}),
    ("llama", {"attention_bias": True, "mlp_bias": True, "head_dim": 32}),
    ("llama2", {}),
    ("qwen3", {}),
    ("qwen3", {"tie_word_embeddings": True, "head_dim": 32, "num_key_value_heads": 1}),
    ("qwen3", {"rope_parameters": YARN}),
    ("mistral", {}),
    ("mistral", {"sliding_window": None, "head_dim": 32}),
]


NAMES = {"qwen2": "Qwen2", "qwen3": "Qwen3", "llama": "Llama", "llama2": "Llama", "mistral": "Mistral"}


def metadata(path: str) -> dict[str, Any]:
    """Every key of a GGUF file with its value."""
    return {key: field.contents() for key, field in GGUFReader(path).fields.items() if not key.startswith("GGUF.")}


def llama_cpp_logits(path: str, ids: list[int]) -> np.ndarray[Any, Any]:
    """Logits of every position, computed by llama.cpp: (tokens, vocabulary)."""
    exact = llama_cpp.GGML_TYPE_F32  # the cache is f16 otherwise, which costs three digits
    model = llama_cpp.Llama(path, n_ctx=256, logits_all=True, verbose=False, type_k=exact, type_v=exact)
    model.eval(ids)
    logits = np.array(model.scores[: len(ids)])
    model.close()
    return logits


@pytest.mark.parametrize(
    ("family_name", "shape"), SHAPES, ids=lambda told: str(told) if isinstance(told, str) else "-".join(told) or "plain"
)
def test_llama_cpp_computes_what_transformers_computes(export: Export, tmp_path: Path, family_name: str, shape: dict[str, Any]) -> None:
    """Logits of the f32 file equal those of base + adapter: names, shapes, rotation, biases, scaling and tying are all right."""
    base = make_base(tmp_path / "base", family_name, dtype=torch.float32, **shape)
    adapter = make_adapter(tmp_path / "adapter", base)
    tuned: Any = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32), str(adapter))
    ids = torch.randint(0, 300, (1, 200), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = tuned(ids).logits[0].numpy()
    found = llama_cpp_logits(export(base, adapter, kind="f32").path, ids[0].tolist())
    assert np.abs(found - expected).max() <= 2e-4 * np.abs(expected).max()


def test_metadata_say_what_llama_cpps_converter_says(export: Export, base: Path, family: str) -> None:
    """Keys and values as ``convert_hf_to_gguf.py`` writes them for the same base."""
    found = metadata(export(base, name="绿波试验").path)
    name = family if family.startswith("qwen") else "llama"
    template, (kind, cutter) = (
        (CHATML, ("gpt2", "qwen2"))
        if family.startswith("qwen")
        else (LLAMA3_CHAT, ("gpt2", "llama-bpe"))
        if family == "llama"
        else (INSTRUCTIONS, ("llama", "default"))
    )
    expected: dict[str, Any] = {
        "general.architecture": name,
        "general.type": "model",
        "general.name": "绿波试验",
        "general.file_type": 15,
        "general.quantization_version": 2,
        f"{name}.block_count": 2,
        f"{name}.context_length": 2048,
        f"{name}.embedding_length": 256,
        f"{name}.feed_forward_length": 512,
        f"{name}.attention.head_count": 8,
        f"{name}.attention.head_count_kv": 2,
        f"{name}.rope.freq_base": 10_000.0,
        f"{name}.attention.layer_norm_rms_epsilon": pytest.approx(1e-6),
        "tokenizer.ggml.model": kind,
        "tokenizer.ggml.pre": cutter,
        "tokenizer.chat_template": template,
    }
    if name == "llama":
        expected |= {"llama.rope.dimension_count": 32, "llama.vocab_size": len(found["tokenizer.ggml.tokens"])}
    if family == "qwen3":
        expected |= {"qwen3.attention.key_length": 64, "qwen3.attention.value_length": 64}
    if kind == "llama":
        expected |= {"tokenizer.ggml.add_space_prefix": family == "llama2", "tokenizer.ggml.add_bos_token": True}
        assert len(found["tokenizer.ggml.scores"]) == len(found["tokenizer.ggml.tokens"])
    assert {key: found.get(key) for key in expected} == expected


def test_tokenizer_inside_is_complete(export: Export, base: Path) -> None:
    """As many tokens as the embedding has rows: padded rows are named and unused, added tokens have their kind, ends are marked."""
    found = metadata(export(base).path)
    tokenizer = AutoTokenizer.from_pretrained(base)
    tokens, kinds = found["tokenizer.ggml.tokens"], found["tokenizer.ggml.token_type"]
    count = len(tokenizer)
    assert tokens[count:] == [f"[PAD{number}]" for number in range(count, count + 9)]
    assert set(kinds[count:]) == {5}
    is_bytewise = found["tokenizer.ggml.model"] == "gpt2"
    assert kinds[tokenizer.convert_tokens_to_ids("<tool_call>" if is_bytewise else "[TOOL]")] == 4
    assert kinds[tokenizer.eos_token_id] == 3
    assert found["tokenizer.ggml.eos_token_id"] == tokenizer.eos_token_id
    assert kinds.count(6) == (0 if is_bytewise else 256)
    assert len(found["tokenizer.ggml.merges" if is_bytewise else "tokenizer.ggml.scores"]) > 10


def test_artifact_tells_what_was_made(export: Export, tmp_path: Path, base: Path, adapter: Path) -> None:
    """Checksum, size, counts, types and the result of the check; the counter ends at the base's bytes; nothing is left beside it."""
    artifact = export(base, adapter, output=tmp_path / "model.gguf")
    facts = artifact.facts
    assert (artifact.role, artifact.sha256) == ("gguf", file_sha256(tmp_path / "model.gguf"))
    assert artifact.size == (tmp_path / "model.gguf").stat().st_size
    assert (facts["type"], facts["family"]) == ("q4_k_m", NAMES[base.name])
    assert sum(facts["types"].values()) == facts["tensors"]
    assert facts["types"].keys() == {"Q4_K", "Q6_K", "F32"}
    assert facts["parameters"] == sum(parameter.numel() for parameter in AutoModelForCausalLM.from_pretrained(base).parameters())
    assert facts["check"]["strings"] >= 200
    assert facts["check"]["mismatches"] == 0
    assert facts["check"]["answer"]
    assert [event.what for event in export.events if isinstance(event, Started)] == ["merge_quantize", "check"]
    total, done = export.counted()
    assert total == done
    assert [path.name for path in tmp_path.iterdir()] == ["model.gguf"]


def test_transformers_own_tokenizer_gives_the_ids_that_were_compared(base: Path) -> None:
    """The check reads ``tokenizer.json``; what training makes of the folder gives the same ids."""
    trained, compared = load_tokenizer(base), Tokenizer.from_file(str(base / "tokenizer.json"))
    for text in probe_texts([token.content for token in compared.get_added_tokens_decoder().values()]):
        assert trained(text, add_special_tokens=False)["input_ids"] == compared.encode(text, add_special_tokens=False).ids


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.bfloat16])
def test_every_stored_type_is_read(export: Export, tmp_path: Path, dtype: torch.dtype) -> None:
    """A base in f16, f32 or bf16 gives a file that passes its check."""
    artifact = export(make_base(tmp_path / "base", dtype=dtype), kind="q8_0")
    assert artifact.facts["check"]["done"]


@pytest.mark.slow
def test_memory_does_not_grow_with_the_model(tmp_path: Path) -> None:
    """A base of 0.5 GB is exported by a process that never holds 300 MB, its libraries included."""
    shape: dict[str, Any] = {
        "hidden_size": 1024,
        "intermediate_size": 4096,
        "num_hidden_layers": 8,
        "num_attention_heads": 16,
        "num_key_value_heads": 4,
    }
    base = make_base(tmp_path / "base", dtype=torch.float32, **shape)
    script = (
        "import sys; from appliance.domain.spec import ExportSpec; from appliance.stages.export import run\n"
        "events = []; run(ExportSpec(base=sys.argv[1], output=sys.argv[2], check=False), events.append)\n"
        "print(events[-1].artifact.facts['peak_memory'])"
    )
    command = [sys.executable, "-c", script, str(base), str(tmp_path / "model.gguf")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    told = subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout
    assert 10_000_000 < int(told) <= 300_000_000
    assert (base / "model.safetensors").stat().st_size > 400_000_000
