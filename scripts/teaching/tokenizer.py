"""The teaching model's tokenizer: byte-level BPE, built piece for piece like Qwen2's, with a vocabulary of its own."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, normalizers, pre_tokenizers, processors, trainers
from tokenizers.models import BPE

from .facts import kinds, phrases
from .text import END, SPECIAL_TOKENS, TURN_END

QWEN2_SPLIT = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
"""How Qwen2 cuts text before BPE; llama.cpp knows it as the pre-tokenizer `qwen2`."""

CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
"""Plain ChatML. No system message is added when the conversation has none."""

VOCABULARY = 2048
LONGEST_CONTEXT = 2048


def words() -> Iterator[str]:
    """The pieces to learn merges from: the fragments, and every character of them often enough to be one token."""
    pieces = list(fragments())
    yield from pieces
    for character in sorted(set("".join(pieces))):
        yield from [character] * 100


def fragments() -> Iterator[str]:
    """The text cut at the borders of its slots.

    Names, values and the fixed parts of sentences are given apart from each other, so that no merge crosses the border
    of a slot: a name is then the same tokens in every question and in the answer, which makes copying it easy.
    """
    lists = phrases()
    slots = re.compile(r"\{\w+\}|[，。？！：、]")
    for kind in kinds():
        for template in (kind.answer, *kind.records, *kind.exam):
            yield from (piece for piece in slots.split(template) if piece)
        yield from [kind.topic] * 4
    for group in ("frames", "plain"):
        for templates in lists[group].values():
            yield from (piece for template in templates for piece in slots.split(template) if piece)
    for talk in lists["talk"]:
        yield from talk["ask"]
        yield from [piece for piece in slots.split(talk["reply"]) if piece] * 2
    yield from ["user", "assistant", "system"] * 50
    yield from lists["name_characters"]
    # Repeated, so that every unit and every word of a value becomes one token.
    for name in ("weekdays", "shades", "tints", "landmarks", "sides", "vehicles", "faults", "slogans_first", "slogans_second"):
        yield from list(lists[name]) * 40
    for patterns in lists["subjects"].values():
        yield from [pattern.replace("{n}", "") for pattern in patterns] * 100
    yield from ["时", "分", "和", "到", "秒", "米", "元", "个", "辆", "吨", "公里", "分钟", "小时", "，", "。", "？", "：", "！"] * 200


def train_tokenizer() -> Tokenizer:
    """A tokenizer of `VOCABULARY` entries, special tokens included; the same on every run."""
    tokenizer = Tokenizer(BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(QWEN2_SPLIT), behavior="isolated", invert=False),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    # Special tokens come after the ordinary ones, as in Qwen2.
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY - len(SPECIAL_TOKENS),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(words(), trainer)
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in SPECIAL_TOKENS])
    return tokenizer


def save_tokenizer(tokenizer: Tokenizer, folder: Path) -> None:
    """Write tokenizer.json and tokenizer_config.json (laid out like Qwen2.5's) into the folder."""
    tokenizer.save(str(folder / "tokenizer.json"))
    added = {
        str(tokenizer.token_to_id(token)): {
            "content": token,
            "lstrip": False,
            "normalized": False,
            "rstrip": False,
            "single_word": False,
            "special": True,
        }
        for token in SPECIAL_TOKENS
    }
    settings = {
        "add_bos_token": False,
        "add_prefix_space": False,
        "added_tokens_decoder": added,
        "additional_special_tokens": ["<|im_start|>", "<|im_end|>"],
        "bos_token": None,
        "chat_template": CHAT_TEMPLATE,
        "clean_up_tokenization_spaces": False,
        "eos_token": TURN_END,
        "errors": "replace",
        "model_max_length": LONGEST_CONTEXT,
        "pad_token": END,
        "split_special_tokens": False,
        "tokenizer_class": "Qwen2Tokenizer",
        "unk_token": None,
    }
    text = json.dumps(settings, ensure_ascii=False, indent=2) + "\n"
    (folder / "tokenizer_config.json").write_text(text, encoding="utf-8")
