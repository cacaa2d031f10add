"""A tiny tokenizer of SentencePiece's kind, as ``tokenizer.json`` and as ``tokenizer.model``."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, models, normalizers, trainers

SPACE = "\u2581"
MARKERS = ("<unk>", "<s>", "</s>")
BYTES = tuple(f"<0x{byte:02X}>" for byte in range(256))
INSTRUCTIONS = (
    "{{ bos_token }}{% for message in messages %}{% if message.role == 'user' %}[INST] {{ message.content }} [/INST]"
    "{% else %} {{ message.content }}{{ eos_token }}{% endif %}{% endfor %}"
)


def definition(texts: Iterable[str], space_rule: str, size: int) -> dict[str, Any]:
    """A ``tokenizer.json`` with real merges; ``space_rule`` says where a space is put before text."""
    tokenizer = Tokenizer(models.BPE(byte_fallback=True, fuse_unk=True, unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend(SPACE), normalizers.Replace(" ", SPACE)])
    trainer = trainers.BpeTrainer(vocab_size=size, special_tokens=[*MARKERS, *BYTES], show_progress=False)
    tokenizer.train_from_iterator([part for text in texts for part in (text, *text.split())] * 2, trainer)
    told: dict[str, Any] = json.loads(tokenizer.to_str())
    told["added_tokens"] = told["added_tokens"][: len(MARKERS)]
    for content in ("[TOOL]", "<|tool|>"):
        number = len(told["model"]["vocab"])
        told["model"]["vocab"][content] = number
        told["added_tokens"].append({**told["added_tokens"][0], "id": number, "content": content, "special": content != "[TOOL]"})
    if space_rule == "never":
        told["normalizer"] = told["normalizer"]["normalizers"][1]
    elif space_rule != "always":
        told["normalizer"] = None
        told["pre_tokenizer"] = {"type": "Metaspace", "replacement": SPACE, "prepend_scheme": space_rule, "split": False}
    restore = [{"type": "Replace", "pattern": {"String": SPACE}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"}]
    told["decoder"] = {"type": "Sequence", "decoders": [*restore, {"type": "Strip", "content": " ", "start": 1, "stop": 0}]}
    start = {"SpecialToken": {"id": "<s>", "type_id": 0}}
    told["post_processor"] = {
        "type": "TemplateProcessing",
        "single": [start, {"Sequence": {"id": "A", "type_id": 0}}],
        "pair": [start, {"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 0}}],
        "special_tokens": {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}},
    }
    return told


def write_sentencepiece(folder: Path, texts: Iterable[str], *, space_rule: str, size: int) -> int:
    """Write the tokenizer as people bring it; gives the number of its tokens."""
    told = definition(texts, space_rule, size)
    (folder / "tokenizer.json").write_text(json.dumps(told, ensure_ascii=False), "utf-8")
    settings = {
        "tokenizer_class": "LlamaTokenizer",
        "legacy": space_rule != "first",
        "bos_token": "<s>",
        "eos_token": "</s>",
        "unk_token": "<unk>",
        "add_bos_token": True,
        "add_eos_token": False,
        "chat_template": INSTRUCTIONS,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), "utf-8")
    return len(told["model"]["vocab"])


def sentencepiece_model(told: dict[str, Any], *, model_type: int = 2, charsmap: bytes = b"", adds_space: bool = True) -> bytes:
    """The same vocabulary as a ``tokenizer.model``: scores by the order of the merges, as SentencePiece's own trainer gives them."""
    added = {token["content"] for token in told["added_tokens"]} - set(MARKERS)
    pieces = sorted(((number, text) for text, number in told["model"]["vocab"].items() if text not in added))
    rank = {left + right: index for index, (left, right) in reversed(list(enumerate(told["model"]["merges"])))}
    raw = b""
    for number, text in pieces:
        kind = 2 if number == 0 else 3 if text in MARKERS else 6 if text in BYTES else 1
        score = -float(rank[text]) if text in rank else 0.0 if kind != 1 else -float(len(rank) + 1 + number)
        raw += _bytes(1, _bytes(1, text.encode()) + b"\x15" + struct.pack("<f", score) + _number(3, kind))
    trainer = _number(3, model_type) + _number(35, 1)
    normalizer = _bytes(1, b"identity") + _bytes(2, charsmap) + _number(3, int(adds_space)) + _number(4, 0)
    return raw + _bytes(2, trainer) + _bytes(3, normalizer)


def _varint(value: int) -> bytes:
    raw = bytearray()
    while value >= 0x80:
        raw.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*raw, value])


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _bytes(field: int, content: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(content)) + content
