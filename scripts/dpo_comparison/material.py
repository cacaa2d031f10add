"""The same tiny model, adapter, tokenizer and pairs for both sides, from formulas alone: no version of torch draws other numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

RANK, ALPHA = 2, 4
TARGETS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
BETAS = (0.1, 0.5)
WORDS = 48
END = "<end>"
SPECIAL = ("<pad>", END, "<user>", "<assistant>")
TEMPLATE = (
    "{% for message in messages %}<{{ message.role }}>{{ message.content }}<end>{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)
PAIRS: tuple[tuple[tuple[str, ...], str, str], ...] = (
    (("w1 w2 w3",), "w4 w5 w6", "w7"),
    (("w8 w9",), "w10", "w11 w12 w13 w14 w15"),
    (("w16", "w17 w18", "w19 w20 w21"), "w22 w23", "w24 w25 w26"),
    (("w27 w28 w29 w30 w31",), "w32 w33 w34 w35 w36 w37", "w38 w39"),
    (("w40",), "w41 w42", "w43 w44"),
)
"""Turns up to a question, the better answer, and the worse one."""


def make_tokenizer() -> Any:
    """A token for each word."""
    vocabulary = {word: number for number, word in enumerate((*SPECIAL, *(f"w{number}" for number in range(WORDS))))}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token=SPECIAL[0]))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.add_special_tokens([AddedToken(text, special=True, normalized=False) for text in SPECIAL])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=END, pad_token=SPECIAL[0], chat_template=TEMPLATE)


def make_model() -> Any:
    """Two blocks of Qwen2 in float32."""
    config = Qwen2Config(
        vocab_size=WORDS + len(SPECIAL),
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=64,
        tie_word_embeddings=False,
        attn_implementation="sdpa",
    )
    model: Any = Qwen2ForCausalLM(config)
    for place, (name, parameter) in enumerate(sorted(model.named_parameters())):
        wave = _wave(parameter.shape, place)
        parameter.data = 1 + 0.1 * wave if "norm" in name else 0.25 * wave
    return model


def fill_adapter(model: Any) -> None:
    """Give every trained parameter its number, so that the adapter says something already."""
    trained = sorted((name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad)
    for place, (_, parameter) in enumerate(trained):
        parameter.data = 0.25 * _wave(parameter.shape, 100 + place)


def gradients(model: Any) -> dict[str, list[float]]:
    """Of every trained parameter, flat, by its name."""
    return {name: parameter.grad.flatten().tolist() for name, parameter in model.named_parameters() if parameter.requires_grad}


def write_rows(path: Path) -> Path:
    """The pairs as a ``rows.jsonl`` of the appliance's."""
    from appliance.domain.conversation import Conversation, to_json

    rows = (Conversation((*_messages(turns), *_messages((better,), "assistant")), rejected=worse) for turns, better, worse in PAIRS)
    path.write_bytes(b"".join(to_json(row) + b"\n" for row in rows))
    return path


def _messages(texts: tuple[str, ...], first: str = "user") -> list[Any]:
    from appliance.domain.conversation import Message

    other = {"user": "assistant", "assistant": "user"}
    return [Message(other[first] if place % 2 else first, text) for place, text in enumerate(texts)]  # type: ignore[arg-type]  # the two roles


def _wave(shape: torch.Size, place: int) -> torch.Tensor:
    """Numbers between −1 and 1 that look like noise, the same everywhere."""
    return torch.sin(0.7 * place + 12.9898 * torch.arange(shape.numel(), dtype=torch.float64)).reshape(shape).float()
