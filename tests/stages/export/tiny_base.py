"""Tiny random bases of every family, with real tokenizers, written as people bring them."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import torch
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from tests.stages.export.sentencepiece_tokenizer import write_sentencepiece

FAMILIES: dict[str, tuple[type[Any], type[Any]]] = {
    "qwen2": (Qwen2Config, Qwen2ForCausalLM),
    "qwen3": (Qwen3Config, Qwen3ForCausalLM),
    "llama": (LlamaConfig, LlamaForCausalLM),
    "llama2": (LlamaConfig, LlamaForCausalLM),
    "mistral": (MistralConfig, MistralForCausalLM),
}
"""Llama 2 is Llama with SentencePiece's kind of tokenizer; so is Mistral's."""

QWEN2_PATTERN = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
LLAMA3_PATTERN = QWEN2_PATTERN.replace(r"|\p{N}|", r"|\p{N}{1,3}|")

CHATML = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
LLAMA3_CHAT = (
    "{{ bos_token }}{% for message in messages %}<|start_header_id|>{{ message.role }}<|end_header_id|>\n\n{{ message.content }}<|eot_id|>"
    "{% endfor %}{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}"
)

_TEXT = (
    "交叉口信号相位绿波带早高峰晚高峰直行左转右转事故处理驾驶人安全带违停处罚二百元记三分",
    "The green wave needs a common cycle of 90 seconds; I've seen it's 35.5% faster, isn't it?",
    "京A12345 粤BD12345 2026年11月21日 08:30 def main():\n\treturn 'signal'\r\n\r\n",
)


def write_tokenizer(folder: Path, family: str, size: int = 400) -> int:
    """A tokenizer of the family's kind; gives the number of its tokens."""
    if family in ("llama2", "mistral"):
        return write_sentencepiece(folder, _TEXT, space_rule="always" if family == "llama2" else "first", size=size + 280)
    tokenizer = Tokenizer(models.BPE(ignore_merges=family == "llama"))
    pattern = LLAMA3_PATTERN if family == "llama" else QWEN2_PATTERN
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(pattern), behavior="isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=size, show_progress=False, initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    tokenizer.train_from_iterator(list(_TEXT) * 3, trainer)
    if family == "llama":
        special = ["<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"]
        settings: dict[str, Any] = {"bos_token": special[0], "eos_token": special[4], "chat_template": LLAMA3_CHAT}
    else:
        tokenizer.normalizer = normalizers.NFC()
        special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
        settings = {"eos_token": special[2], "pad_token": special[0], "chat_template": CHATML, "add_bos_token": False}
    tokenizer.add_special_tokens([AddedToken(text, special=True, normalized=False) for text in special])
    tokenizer.add_tokens([AddedToken("<tool_call>", special=False, normalized=False)])
    if family == "llama":
        start = special[0]
        number = tokenizer.token_to_id(start)
        template = processors.TemplateProcessing(single=f"{start} $A", pair=f"{start} $A {start} $B", special_tokens=[(start, number)])
        tokenizer.post_processor = processors.Sequence([processors.ByteLevel(trim_offsets=True), template])
    tokenizer.save(str(folder / "tokenizer.json"))
    settings["tokenizer_class"] = "PreTrainedTokenizerFast" if family == "llama" else "Qwen2Tokenizer"
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, ensure_ascii=False), "utf-8")
    return int(tokenizer.get_vocab_size())


def make_base(
    folder: Path,
    family: str = "qwen2",
    *,
    dtype: torch.dtype = torch.bfloat16,
    padding: int = 9,
    shard_bytes: str = "5GB",
    seed: int = 3,
    **settings: Any,
) -> Path:
    """A random base of two blocks, hidden size 64 and GQA, unless ``settings`` say otherwise; its embedding has padded rows."""
    folder.mkdir(parents=True)
    tokens = write_tokenizer(folder, family)
    shape: dict[str, Any] = {
        "vocab_size": tokens + padding,
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 2048,
        "tie_word_embeddings": False,
        **settings,
    }
    torch.manual_seed(seed)
    if family == "qwen3":
        shape.setdefault("head_dim", shape["hidden_size"] // shape["num_attention_heads"] * 2)  # not what follows from the hidden size
    config, architecture = FAMILIES[family]
    model: Any = architecture(config(**shape))
    for name, parameter in model.named_parameters():
        if "norm" in name or name.endswith("bias"):
            parameter.data += torch.randn_like(parameter) * 0.05
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.to(dtype).save_pretrained(folder, max_shard_size=shard_bytes)
    return folder


def make_adapter(folder: Path, base: Path, *, seed: int = 5, scale: float = 0.1, rows: int = 0, **settings: Any) -> Path:
    """A peft adapter with random weights on all linear layers of a base, unless ``settings`` say otherwise.

    With ``scaled_inputs``, a list of layers, it is (IA)³ and not LoRA.
    """
    from peft import IA3Config, LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    if rows:
        model.resize_token_embeddings(rows, mean_resizing=False)
    if "scaled_inputs" in settings:
        config: Any = IA3Config(task_type="CAUSAL_LM", feedforward_modules=settings.pop("scaled_inputs"), **settings)
    else:
        config = LoraConfig(task_type="CAUSAL_LM", **{"r": 4, "lora_alpha": 8, "target_modules": "all-linear", **settings})
    torch.manual_seed(seed)
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", "`is_gradient_checkpointing` is deprecated", FutureWarning
        )  # peft reads what transformers renamed
        tuned = get_peft_model(model, config)
    for name, parameter in tuned.named_parameters():
        if "magnitude" in name or "ia3_l" in name:
            parameter.data *= 1 + torch.rand_like(parameter) * scale
        elif "lora_" in name:
            parameter.data = torch.randn_like(parameter) * scale
        elif parameter.requires_grad:
            parameter.data += torch.randn_like(parameter) * scale
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Setting `save_embedding_layers`", UserWarning)
        tuned.save_pretrained(str(folder), save_embedding_layers="auto" if rows else False)
    return folder
