"""Words of a trade as tokens of their own: added to a tokenizer, given rows in the embedding and the head, found again with an adapter.

Bases have more rows than tokens (Qwen2.5: 151,936 rows for 151,665 tokens); new tokens take those first, and only then the matrix grows, by
exactly as many rows as are missing. A new row starts as the mean of the rows of its pieces, so the model begins with what it knew.

Where two tokens overlap in a text, the tokenizer's library takes the one that begins first, llama.cpp the longer one. 信号相位 and
相位差控制 would give other ids for 信号相位差控制 in training than in serving; so the later word of such a pair stays as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from tokenizers import AddedToken

from appliance.files.base_screening import read_json_object


@dataclass(frozen=True)
class NewTokens:
    """Tokens that the base has never seen."""

    pieces: Mapping[str, tuple[int, ...]]
    """Each word with the ids it was made of before."""
    first: int
    """Id of the first; the others follow."""
    overlapping: Mapping[str, str] = field(default_factory=dict)
    """Words that were left as they are, each with the token that it overlaps with."""

    @property
    def ids(self) -> tuple[int, ...]:
        """Their ids, in the order of ``pieces``."""
        return tuple(range(self.first, self.first + len(self.pieces)))


def add_tokens(tokenizer: Any, words: Sequence[str]) -> NewTokens:
    """Add those words that the tokenizer splits, in their order, as ordinary text that is never split again.

    They are matched as they are written, before any normalisation, as llama.cpp matches them.
    """
    backend = tokenizer.backend_tokenizer
    split = {word: tuple(backend.encode(word, add_special_tokens=False).ids) for word in dict.fromkeys(words)}
    long = [word for word, ids in split.items() if len(ids) > 1]
    overlapping = overlaps(long, (token.content for token in tokenizer.added_tokens_decoder.values()))
    pieces = {word: split[word] for word in long if word not in overlapping}
    first = max(backend.get_vocab(with_added_tokens=True).values()) + 1
    tokenizer.add_tokens([AddedToken(word, special=False, normalized=False) for word in pieces])
    new = NewTokens(pieces, first, overlapping)
    assert tuple(backend.token_to_id(word) for word in pieces) == new.ids  # ids are given one after another
    return new


def overlaps(words: Iterable[str], known: Iterable[str] = ()) -> dict[str, str]:
    """Words that cannot be tokens beside ``known`` and the words before them, each with the one that stands against it.

    Two tokens stand against each other when the end of one is the beginning of the other and the first is not the longer one in UTF-8.
    Without such a pair "the leftmost, of these the longest" and "the longest first" find the same tokens in every text.
    """
    longest_beginning: dict[str, str] = {}
    shortest_end: dict[str, str] = {}
    against: dict[str, str] = {}

    def size(word: str) -> int:
        return len(word.encode())

    def opponent(word: str) -> str | None:
        for cut in range(1, len(word)):
            longest, shortest = longest_beginning.get(word[cut:]), shortest_end.get(word[:cut])
            if longest and size(longest) >= size(word):
                return longest
            if shortest and size(shortest) <= size(word):
                return shortest
        return None

    for word, is_known in [*((word, True) for word in known), *((word, False) for word in words)]:
        other = None if is_known else opponent(word)
        if other is not None:
            against[word] = other
            continue
        for cut in range(1, len(word)):
            longest_beginning[word[:cut]] = max(longest_beginning.get(word[:cut], word), word, key=size)
            shortest_end[word[cut:]] = min(shortest_end.get(word[cut:], word), word, key=size)
    return against


def start_rows(model: Any, new: NewTokens) -> None:
    """Give every new token a row in embedding and head: the mean of its pieces' rows."""
    grow_embeddings(model, new.first + len(new.pieces))
    matrices = {id(module.weight): module.weight for module in (model.get_input_embeddings(), model.get_output_embeddings())}
    with torch.no_grad():
        for weight in matrices.values():  # one, where the head is the embedding
            for number, pieces in zip(new.ids, new.pieces.values(), strict=True):
                weight[number] = weight[list(pieces)].float().mean(0).to(weight.dtype)


def grow_embeddings(model: Any, rows: int) -> None:
    """Make embedding and head at least ``rows`` long; what is added has no meaning yet."""
    if rows <= model.get_input_embeddings().num_embeddings:
        return
    trained = model.get_input_embeddings().weight.requires_grad
    model.resize_token_embeddings(rows, mean_resizing=False)
    for module in (model.get_input_embeddings(), model.get_output_embeddings()):
        module.requires_grad_(trained)


def rows_of_adapter(adapter: Path) -> int:
    """How many rows of the embedding an adapter speaks of; 0 when it has no tokens of its own."""
    indices = read_json_object(adapter / "adapter_config.json").get("trainable_token_indices") or {}
    lists = indices.values() if isinstance(indices, dict) else [indices]
    return max((int(number) + 1 for numbers in lists for number in numbers), default=0)
