"""The tokenizer inside the GGUF file: tokens, their kinds, merges, special ids, and how text is cut before merging.

Two kinds: byte-level BPE (Qwen2, Qwen3, Llama 3) and SentencePiece's BPE (Llama 2, Mistral), see ``sentencepiece``. Which of llama.cpp's
pre-tokenizers it is, is decided by the pre-tokenizer's own definition in ``tokenizer.json``; the check after writing then compares token
ids, which would show a wrong decision.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gguf import GGUFWriter, SpecialVocab, TokenType

from appliance.domain.errors import ApplianceError
from appliance.files.base_screening import read_json_object
from appliance.stages.export.sentencepiece import SPACE, is_byte_token, is_sentencepiece, missing_byte_token, scores, space_rule, steps

_QWEN2_PATTERN = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"

PRE_TOKENIZERS: Mapping[tuple[str, bool], str] = {
    (_QWEN2_PATTERN, False): "qwen2",
    (_QWEN2_PATTERN.replace(r"|\p{N}|", r"|\p{N}{1,3}|"), True): "llama-bpe",
}
"""(pattern that cuts text, whether whole words skip the merges) → llama.cpp's ``tokenizer.ggml.pre``."""


@dataclass(frozen=True)
class Vocabulary:
    """A tokenizer as GGUF wants it."""

    tokens: list[str]
    """By id, as many as the embedding has rows; rows without a token are named ``[PADi]``."""
    kinds: list[int]
    pre_tokenizer: str
    normalizer: str
    """``NFC``, ``prefix`` (a space before text that does not begin with a marker) or nothing: whoever sends llama.cpp text must do it."""
    special: SpecialVocab
    scores: list[float] | None = None
    """By id, of SentencePiece's kind only: llama.cpp merges what has the highest."""
    adds_prefix_space: bool = False
    """Of SentencePiece's kind: whether llama.cpp puts a space before text."""

    @property
    def chat_template(self) -> str:
        """The template that prompts are made with; empty when there is none."""
        template = self.special.chat_template
        if isinstance(template, str) or template is None:
            return template or ""
        named = {str(entry["name"]): str(entry["template"]) for entry in template}
        return named.get("default", "")

    def add_to(self, head: GGUFWriter) -> None:
        """Write all of it into the metadata."""
        head.add_tokenizer_model("gpt2" if self.scores is None else "llama")
        head.add_tokenizer_pre(self.pre_tokenizer)
        head.add_token_list(self.tokens)
        if self.scores is not None:
            head.add_token_scores(self.scores)
            head.add_add_space_prefix(self.adds_prefix_space)
        head.add_token_types(self.kinds)
        self.special.add_to_gguf(head, quiet=True)


def read_vocabulary(folder: Path, rows: int) -> Vocabulary:
    """The tokenizer of a base whose embedding has so many rows.

    Raises ``file_missing``, ``tokenizer_unsupported`` with the part that llama.cpp lacks, ``tokenizer_larger_than_model``,
    ``tokenizer_id_twice``, ``tokenizer_has_holes``.
    """
    if not (folder / "tokenizer.json").is_file():
        raise ApplianceError("file_missing", name="tokenizer.json")
    definition = read_json_object(folder / "tokenizer.json")
    model = definition.get("model") or {}
    if model.get("type") != "BPE":
        raise ApplianceError("tokenizer_unsupported", part=f"model {model.get('type')}")
    if is_sentencepiece(definition) and (missing := missing_byte_token(definition)):
        raise ApplianceError("tokenizer_unsupported", part=f"byte_fallback - {missing}")
    tokens, kinds = _tokens(definition, rows)
    if is_sentencepiece(definition):
        rule = space_rule(definition)
        special = _special(folder, rows, merges=False)
        ranked = scores(definition, tokens, folder)
        return Vocabulary(tokens, kinds, "default", "prefix" if rule == "first" else "", special, ranked, rule == "always")
    special = _special(folder, rows, merges=True)
    return Vocabulary(tokens, kinds, pre_tokenizer_of(definition), normalizer_of(definition), special)


def _special(folder: Path, rows: int, *, merges: bool) -> SpecialVocab:
    """Special ids and the chat template, also where the settings name an empty one beside the template's own file."""
    special = SpecialVocab(folder, load_merges=merges, n_vocab=rows)
    template = folder / "chat_template.jinja"
    if not special.chat_template and template.is_file():
        special.chat_template = template.read_text("utf-8")
    return special


def pre_tokenizer_of(definition: Mapping[str, Any]) -> str:
    """llama.cpp's name of the pre-tokenizer; raises ``tokenizer_unsupported`` with the pattern of one that it does not have."""
    cutters = steps(definition.get("pre_tokenizer"), "pretokenizers")
    ignores_merges = bool(definition["model"].get("ignore_merges"))
    if [step.get("type") for step in cutters] == ["Split", "ByteLevel"]:
        split, byte_level = cutters
        pattern = (split.get("pattern") or {}).get("Regex", "")
        plain = split.get("behavior") == "Isolated" and not split.get("invert")
        plain = plain and not byte_level.get("add_prefix_space") and not byte_level.get("use_regex", True)
        known = PRE_TOKENIZERS.get((pattern, ignores_merges))
        if plain and known is not None:
            return known
        raise ApplianceError("tokenizer_unsupported", part=f"pre-tokenizer {pattern}")
    raise ApplianceError("tokenizer_unsupported", part=f"pre-tokenizer {' + '.join(str(step.get('type')) for step in cutters) or '-'}")


def normalizer_of(definition: Mapping[str, Any]) -> str:
    """``NFC`` or nothing; raises ``tokenizer_unsupported`` for any other normalizer."""
    kinds = [str(step.get("type")) for step in steps(definition.get("normalizer"), "normalizers")]
    if kinds not in ([], ["NFC"]):
        raise ApplianceError("tokenizer_unsupported", part=f"normalizer {' + '.join(kinds)}")
    return "".join(kinds)


def _tokens(definition: Mapping[str, Any], rows: int) -> tuple[list[str], list[int]]:
    tokens = [f"[PAD{number}]" for number in range(rows)]
    kinds = [int(TokenType.UNUSED)] * rows
    has_bytes = is_sentencepiece(definition)
    for token, number in definition["model"]["vocab"].items():
        _refuse_beyond(number, rows, token)
        if kinds[number] != TokenType.UNUSED:
            raise ApplianceError("tokenizer_id_twice", token=token, other=tokens[number], id=number)
        tokens[number], kinds[number] = token, int(TokenType.BYTE if has_bytes and is_byte_token(token) else TokenType.NORMAL)
    for added in definition.get("added_tokens") or []:
        number, content = added["id"], added["content"]
        _refuse_beyond(number, rows, content)
        is_control = added.get("special") or _looks_special(content)
        # llama.cpp looks for added tokens in plain text, without SentencePiece's sign for a space.
        tokens[number] = content if is_control else content.replace(SPACE, " ")
        kinds[number] = int(TokenType.CONTROL if is_control else TokenType.USER_DEFINED)
    _refuse_holes(tokens, kinds)
    return tokens, kinds


def _refuse_holes(tokens: list[str], kinds: list[int]) -> None:
    """Ids must be without gaps: the tokenizer's library counts added tokens on from the others, whatever number the file gives them."""
    used = [number for number, kind in enumerate(kinds) if kind != TokenType.UNUSED]
    for expected, number in enumerate(used):
        if number != expected:
            raise ApplianceError("tokenizer_has_holes", id=expected, token=tokens[number], next=number)


def _refuse_beyond(number: int, rows: int, token: str) -> None:
    if not 0 <= number < rows:
        raise ApplianceError("tokenizer_larger_than_model", token=token, id=number, rows=rows)


def _looks_special(content: str) -> bool:
    """Markers that some bases forget to declare as special, by the same signs that llama.cpp's converter goes by."""
    return content in ("<pad>", "<mask>") or (content.startswith("<|") and content.endswith("|>"))
