"""``tokenizer.json`` for a base that brings SentencePiece's ``tokenizer.model`` alone, as bases of the Llama 2 days do.

Everything here works with ``tokenizer.json``; making it once, when the base comes in, leaves one definition for training and serving. The
rules are transformers' own for these models: merges are all pairs of pieces that make a piece, in the order of its score.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from appliance.domain.errors import ApplianceError
from appliance.files.base_screening import read_json_object
from appliance.files.sentencepiece_model import BPE, SentencePieceModel, read_sentencepiece
from appliance.stages.export.sentencepiece import MODEL_FILE, SPACE

CONTROL, USER_DEFINED = 3, 4

_RESTORED = [
    {"type": "Replace", "pattern": {"String": SPACE}, "content": " "},
    {"type": "ByteFallback"},
    {"type": "Fuse"},
]


def write_tokenizer_json(folder: Path) -> None:
    """Write ``tokenizer.json`` beside the ``tokenizer.model`` of a folder; raises ``tokenizer_unsupported`` or ``sentencepiece_broken``."""
    model = read_sentencepiece(folder / MODEL_FILE)
    for part, lacking in (
        ("unigram", model.model_type != BPE),
        ("byte_fallback", not model.byte_fallback),
        ("precompiled_charsmap", model.rewrites_characters),
        ("remove_extra_whitespaces", model.removes_extra_spaces),
    ):
        if lacking:
            raise ApplianceError("tokenizer_unsupported", part=f"{MODEL_FILE} {part}")
    settings = read_json_object(folder / "tokenizer_config.json") if (folder / "tokenizer_config.json").is_file() else {}
    (folder / "tokenizer.json").write_text(json.dumps(definition_of(model, settings), ensure_ascii=False), "utf-8")


def definition_of(model: SentencePieceModel, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The definition that gives SentencePiece's ids; ``settings`` are those of ``tokenizer_config.json``."""
    vocabulary = {piece.text: number for number, piece in enumerate(model.pieces)}
    writes_spaces = {"type": "Replace", "pattern": {"String": " "}, "content": SPACE}
    normalizer: dict[str, Any] | None = writes_spaces
    pre_tokenizer = None
    if model.adds_prefix_space and settings.get("legacy", True):
        normalizer = {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": SPACE}, writes_spaces]}
    elif model.adds_prefix_space:
        normalizer, pre_tokenizer = None, {"type": "Metaspace", "replacement": SPACE, "prepend_scheme": "first", "split": False}
    strip = [{"type": "Strip", "content": " ", "start": 1, "stop": 0}] if model.adds_prefix_space else []
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": _added_tokens(model, settings),
        "normalizer": normalizer,
        "pre_tokenizer": pre_tokenizer,
        "post_processor": _starts_with(model, settings),
        "decoder": {"type": "Sequence", "decoders": [*_RESTORED, *strip]},
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": next((piece.text for piece in model.pieces if piece.kind == 2), None),
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": True,
            "byte_fallback": True,
            "ignore_merges": False,
            "vocab": vocabulary,
            "merges": _merges(model, vocabulary),
        },
    }


def _merges(model: SentencePieceModel, vocabulary: Mapping[str, int]) -> list[list[str]]:
    found: list[tuple[float, int, int, str, str]] = []
    for piece in model.pieces:
        for place in range(1, len(piece.text) if piece.kind == 1 else 0):
            left, right = piece.text[:place], piece.text[place:]
            if left in vocabulary and right in vocabulary:
                found.append((-piece.score, vocabulary[left], vocabulary[right], left, right))
    return [[left, right] for *_, left, right in sorted(found)]


def _added_tokens(model: SentencePieceModel, settings: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Control pieces and pieces of users, and what the settings have added or say otherwise, by id."""
    plain = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    found = {
        number: {"id": number, "content": piece.text, **plain, "special": piece.kind != USER_DEFINED}
        for number, piece in enumerate(model.pieces)
        if piece.kind in (2, CONTROL, USER_DEFINED)
    }
    for number, told in (settings.get("added_tokens_decoder") or {}).items():
        kept = {key: bool(told.get(key, False)) for key in (*plain, "special")}
        found[int(number)] = {"id": int(number), "content": str(told["content"]), **kept}
    return [found[number] for number in sorted(found)]


def _starts_with(model: SentencePieceModel, settings: Mapping[str, Any]) -> dict[str, Any] | None:
    """The post-processor that puts the beginning-of-text token first, unless the settings forbid it."""
    told = settings.get("bos_token") or "<s>"
    start = str(told["content"] if isinstance(told, Mapping) else told)
    number = next((number for number, piece in enumerate(model.pieces) if piece.text == start), None)
    if number is None or settings.get("add_bos_token") is False:
        return None
    first = {"SpecialToken": {"id": start, "type_id": 0}}
    texts = [{"Sequence": {"id": letter, "type_id": 0}} for letter in "AB"]
    tokens = {start: {"id": start, "ids": [number], "tokens": [start]}}
    return {"type": "TemplateProcessing", "single": [first, texts[0]], "pair": [first, *texts], "special_tokens": tokens}
