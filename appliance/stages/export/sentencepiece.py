"""SentencePiece's kind of BPE, as Llama 2 and Mistral have it: spaces written as a sign of their own, unknown characters as bytes.

``tokenizer.json`` orders merges by rank, llama.cpp by the score of the merged token; a token's score is therefore the rank of the first
merge that makes it, negative, unless the original ``tokenizer.model`` is there to say. The check after writing compares the ids.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

from appliance.domain.errors import ApplianceError
from appliance.files.sentencepiece_model import read_sentencepiece

SPACE = "\N{LOWER ONE EIGHTH BLOCK}"
"""SentencePiece's sign for a space."""

MODEL_FILE = "tokenizer.model"

SpaceRule = Literal["always", "first", "never"]
"""Where a space is put before text: before every piece between special tokens (llama.cpp's own way), at the very beginning, nowhere."""

_BYTE_TOKEN = re.compile(r"<0x[0-9A-F]{2}>")

ADDED_SCORE, PADDING_SCORE = -1000.0, -10_000.0
"""What llama.cpp's converter gives to tokens that no merge makes."""


def is_sentencepiece(definition: Mapping[str, Any]) -> bool:
    """Whether a ``tokenizer.json`` is of this kind."""
    model = definition.get("model") or {}
    return model.get("type") == "BPE" and bool(model.get("byte_fallback"))


def is_byte_token(token: str) -> bool:
    """Whether a token stands for one byte."""
    return _BYTE_TOKEN.fullmatch(token) is not None


def space_rule(definition: Mapping[str, Any]) -> SpaceRule:
    """Where spaces are added; raises ``tokenizer_unsupported`` with the part that llama.cpp cannot do."""
    normalizers = steps(definition.get("normalizer"), "normalizers")
    cutters = steps(definition.get("pre_tokenizer"), "pretokenizers")
    if not cutters:
        kinds = [step.get("type") for step in normalizers]
        if kinds in (["Prepend", "Replace"], ["Replace"]) and _writes_spaces(normalizers[-1]):
            return "always" if kinds[0] == "Prepend" and normalizers[0].get("prepend") == SPACE else "never"
    elif not normalizers and len(cutters) == 1:
        (cutter,) = cutters
        plain = cutter.get("type") == "Metaspace" and cutter.get("replacement") == SPACE and cutter.get("split") is False
        scheme = cutter.get("prepend_scheme")
        if plain and scheme in ("first", "never"):
            return scheme  # type: ignore[no-any-return]  # one of the two literals, as just seen
    told = " + ".join(f"{step.get('type')} {step.get('prepend_scheme', '')}".strip() for step in (*normalizers, *cutters))
    raise ApplianceError("tokenizer_unsupported", part=told or "-")


def scores(definition: Mapping[str, Any], tokens: list[str], folder: Path) -> list[float]:
    """The score of every token by id: from ``tokenizer.model`` where its pieces are these tokens, otherwise from the merges' ranks."""
    vocabulary = definition["model"]["vocab"]
    found = [PADDING_SCORE] * len(tokens)
    by_rank: dict[str, float] = {}
    for rank, merge in enumerate(definition["model"].get("merges") or []):
        left, right = merge.split(" ") if isinstance(merge, str) else merge
        by_rank.setdefault(left + right, -float(rank))
    lowest = -float(len(by_rank) + 1)
    for token, number in vocabulary.items():
        found[number] = 0.0 if is_byte_token(token) else by_rank.get(token, lowest)
    if (folder / MODEL_FILE).is_file():
        pieces = read_sentencepiece(folder / MODEL_FILE).pieces
        if all(vocabulary.get(piece.text) == number for number, piece in enumerate(pieces)):
            found[: len(pieces)] = [piece.score for piece in pieces]
    for added in definition.get("added_tokens") or []:
        found[added["id"]] = ADDED_SCORE
    return found


def missing_byte_token(definition: Mapping[str, Any]) -> str:
    """The first of the 256 byte tokens that is not there, or nothing: llama.cpp aborts on text that needs it."""
    vocabulary = definition["model"]["vocab"]
    return next((token for token in (f"<0x{byte:02X}>" for byte in range(256)) if token not in vocabulary), "")


def sender(definition: Mapping[str, Any]) -> Callable[[str], str]:
    """What must be done to a text before llama.cpp tokenizes it, so that it gives the ids of the training tokenizer."""
    if not is_sentencepiece(definition):
        composed = any(step.get("type") == "NFC" for step in steps(definition.get("normalizer"), "normalizers"))
        return (lambda text: unicodedata.normalize("NFC", text)) if composed else (lambda text: text)
    if space_rule(definition) != "first":
        return lambda text: text
    markers = tuple(str(token["content"]) for token in definition.get("added_tokens") or [])
    return lambda text: text if not text or text.startswith((" ", SPACE, *markers)) else f" {text}"


def steps(part: Any, inner: str) -> list[Mapping[str, Any]]:
    """The steps of a normalizer or pre-tokenizer, which may be one or a sequence."""
    if not part:
        return []
    return list(part[inner]) if part.get("type") == "Sequence" else [part]


def _writes_spaces(step: Mapping[str, Any]) -> bool:
    return step.get("pattern") == {"String": " "} and step.get("content") == SPACE
