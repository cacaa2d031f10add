"""Tiny random models with real tokenizers, as GGUF files that llama.cpp serves, made once per test session."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from appliance.inference.server import LlamaServer, ServerSettings, running_server

CONTEXT = 4096

CHATML = (
    "{%- if messages[0]['role'] == 'system' -%}{{- '<|im_start|>system\n' + messages[0]['content'] + '<|im_end|>\n' -}}"
    "{%- else -%}{{- '<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n' -}}{%- endif -%}"
    "{%- for message in messages -%}{%- if (message.role != 'system') or not loop.first -%}"
    "{{- '<|im_start|>' + message.role + '\n' + message.content + '<|im_end|>' + '\n' -}}{%- endif -%}{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\n' -}}{%- endif -%}"
)
LLAMA3 = (
    "{% for message in messages %}{% set content = '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n'"
    " + message['content'] | trim + '<|eot_id|>' %}{% if loop.index0 == 0 %}{% set content = bos_token + content %}{% endif %}"
    "{{ content }}{% endfor %}{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"
)
QWEN_SPLIT = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"


@dataclass(frozen=True)
class Kind:
    """What distinguishes the two families of tiny models."""

    architecture: str
    template: str
    markers: tuple[str, ...]
    begin: str | None
    end: str
    split: str
    pre_tokenizer: str


KINDS = {
    "qwen2": Kind("qwen2", CHATML, ("<|endoftext|>", "<|im_start|>", "<|im_end|>"), None, "<|im_end|>", QWEN_SPLIT, "qwen2"),
    "llama": Kind(
        "llama",
        LLAMA3,
        ("<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"),
        "<|begin_of_text|>",
        "<|eot_id|>",
        QWEN_SPLIT.replace(r"\p{N}|", r"\p{N}{1,3}|"),
        "llama-bpe",
    ),
}


@dataclass(frozen=True)
class TinyModel:
    """A GGUF file and the tokenizer that its training would have used."""

    gguf: Path
    tokenizer: Any


def make_tiny_model(folder: Path, kind: Kind) -> TinyModel:
    """A random model of two blocks, 64 wide, with a byte-level BPE vocabulary of about 350 tokens."""
    tokenizer = _make_tokenizer(kind)
    gguf = folder / f"{kind.architecture}.gguf"
    _write_gguf(gguf, kind, tokenizer)
    return TinyModel(gguf, tokenizer)


def _make_tokenizer(kind: Kind) -> Any:
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    if kind.architecture == "qwen2":
        tokenizer.normalizer = normalizers.NFC()
    splitting = pre_tokenizers.Split(Regex(kind.split), "isolated")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([splitting, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    tokenizer.decoder = decoders.ByteLevel()
    texts = ["交通警察指挥路口的车辆通行", "信号灯变绿后方可起步，注意行人", "the traffic light turns green é ü", "绿波带协调控制 123 456"]
    trainer = trainers.BpeTrainer(
        vocab_size=340, special_tokens=list(kind.markers), initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    tokenizer.train_from_iterator(texts * 3, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token=kind.begin, eos_token=kind.end, chat_template=kind.template)


def _write_gguf(path: Path, kind: Kind, tokenizer: Any) -> None:
    import json

    import gguf

    stored = json.loads(tokenizer.backend_tokenizer.to_str())["model"]
    vocabulary = sorted(stored["vocab"], key=stored["vocab"].get)
    writer = gguf.GGUFWriter(path, kind.architecture)
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(64)
    writer.add_block_count(2)
    writer.add_feed_forward_length(128)
    writer.add_head_count(4)
    writer.add_head_count_kv(2)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_rope_freq_base(10000.0)
    writer.add_rope_dimension_count(16)
    writer.add_vocab_size(len(vocabulary))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(kind.pre_tokenizer)
    writer.add_token_list(vocabulary)
    control, normal = gguf.TokenType.CONTROL, gguf.TokenType.NORMAL
    writer.add_token_types([control if token in kind.markers else normal for token in vocabulary])
    writer.add_token_merges([" ".join(pair) for pair in stored["merges"]])
    if kind.begin:
        writer.add_bos_token_id(vocabulary.index(kind.begin))
    writer.add_add_bos_token(kind.begin is not None)
    writer.add_eos_token_id(vocabulary.index(kind.end))
    writer.add_chat_template(kind.template)
    for name, tensor in _random_tensors(kind, len(vocabulary)):
        writer.add_tensor(name, tensor)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _random_tensors(kind: Kind, vocabulary: int) -> Iterator[tuple[str, Any]]:
    import numpy as np

    random = np.random.default_rng(17)

    def matrix(rows: int, columns: int) -> Any:
        return random.normal(0, 0.1, (rows, columns)).astype(np.float32)

    yield "token_embd.weight", matrix(vocabulary, 64)
    yield "output_norm.weight", np.ones(64, np.float32)
    for block in range(2):
        shapes = {"attn_q": (64, 64), "attn_k": (32, 64), "attn_v": (32, 64), "attn_output": (64, 64)}
        shapes |= {"ffn_gate": (128, 64), "ffn_up": (128, 64), "ffn_down": (64, 128)}
        for name, (rows, columns) in shapes.items():
            yield f"blk.{block}.{name}.weight", matrix(rows, columns)
            if kind.architecture == "qwen2" and name in ("attn_q", "attn_k", "attn_v"):
                yield f"blk.{block}.{name}.bias", matrix(1, rows)[0]
        yield f"blk.{block}.attn_norm.weight", np.ones(64, np.float32)
        yield f"blk.{block}.ffn_norm.weight", np.ones(64, np.float32)


def export_teaching_base(folder: Path) -> TinyModel:
    """The teaching base as our own export writes it, quantized, with the tokenizer that is trained with."""
    from transformers import AutoTokenizer

    from appliance import demo
    from appliance.domain.spec import ExportSpec
    from appliance.stages import export

    gguf = folder / "teaching.gguf"
    export.run(ExportSpec(base=str(demo.base_folder()), output=str(gguf), name="teaching"), lambda _: None)
    return TinyModel(gguf, AutoTokenizer.from_pretrained(demo.base_folder(), local_files_only=True))


@pytest.fixture(scope="session", params=[*sorted(KINDS), "teaching base"])
def served_model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> TinyModel:
    """A tiny model of each family, and the teaching base as it is exported."""
    folder = tmp_path_factory.mktemp("served")
    return make_tiny_model(folder, KINDS[request.param]) if request.param in KINDS else export_teaching_base(folder)


@pytest.fixture(scope="session")
def qwen(tmp_path_factory: pytest.TempPathFactory) -> TinyModel:
    """A tiny model of Qwen2's shape."""
    return make_tiny_model(tmp_path_factory.mktemp("tiny"), KINDS["qwen2"])


@pytest.fixture(scope="module")
def server(qwen: TinyModel, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LlamaServer]:
    """A running server of the Qwen2 model with two slots."""
    settings = ServerSettings(alias="tiny", context_length=256, slots=2, threads=1)
    with running_server(qwen.gguf, log=tmp_path_factory.mktemp("log") / "server.log", settings=settings) as running:
        yield running


@pytest.fixture(scope="module", autouse=True)
def nothing_is_left() -> Iterator[None]:
    """After each of these modules no child process, not even a zombie, and no folder of sockets is left."""
    before = _children(), _socket_folders()
    yield
    assert _children() <= before[0]
    assert _socket_folders() <= before[1]


def _children() -> set[str]:
    return set(Path(f"/proc/self/task/{os.getpid()}/children").read_text().split())


def _socket_folders() -> set[Path]:
    places = {Path(os.environ.get("XDG_RUNTIME_DIR") or "/tmp"), Path(tempfile.gettempdir()), Path("/tmp")}
    return {folder for place in places for folder in place.glob("greenwave-*")}
