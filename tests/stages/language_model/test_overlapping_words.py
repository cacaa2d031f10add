"""Words that lie over each other in a text: those that are kept are found alike by the tokenizer's rule and by llama.cpp's."""

from __future__ import annotations

import random
from collections.abc import Sequence

from appliance.stages.language_model.new_tokens import overlaps


def leftmost_longest(text: str, words: Sequence[str]) -> list[tuple[int, str]]:
    """What the tokenizer's library finds: the word that begins first, of several the longest."""
    found, place = [], 0
    while place < len(text):
        word = max((word for word in words if text.startswith(word, place)), key=len, default="")
        found += [(place, word)] if word else []
        place += len(word) or 1
    return found


def longest_first(text: str, words: Sequence[str]) -> list[tuple[int, str]]:
    """What llama.cpp finds: word by word from the longest on (in bytes), each in what the longer ones have left."""
    pieces, found = [(0, text)], list[tuple[int, str]]()
    for word in sorted(words, key=lambda word: len(word.encode()), reverse=True):
        rest = []
        for begin, piece in pieces:
            reached = 0
            while (place := piece.find(word, reached)) >= 0:
                found.append((begin + place, word))
                rest.append((begin + reached, piece[reached:place]))
                reached = place + len(word)
            rest.append((begin + reached, piece[reached:]))
        pieces = rest
    return sorted(found)


def test_kept_words_are_found_alike() -> None:
    """Over random words of few signs, one of them three bytes long, both rules find the same; with all words they would not."""
    chance = random.Random(7)
    differing = 0
    for _ in range(1500):
        words = list(dict.fromkeys("".join(chance.choices("ab相", k=chance.randint(2, 5))) for _ in range(chance.randint(2, 6))))
        known, against = words[:1], overlaps(words[1:], words[:1])
        kept = [word for word in words if word not in against]
        assert set(known) <= set(kept)
        text = "".join(chance.choices("ab相", k=40))
        assert leftmost_longest(text, kept) == longest_first(text, kept), (words, text)
        differing += leftmost_longest(text, words) != longest_first(text, words)
    assert differing > 300


def test_the_earlier_word_stays() -> None:
    """A later word gives way and is told with the one it lies over; words inside others and longer beginnings do no harm."""
    assert overlaps(["交通信号", "信号控制系统", "信号", "绿波带", "绿波"]) == {"信号控制系统": "交通信号"}
    assert overlaps(["信号控制系统", "交通信号"]) == {"交通信号": "信号控制系统"}
    assert overlaps(["交通信号控制", "控制系统"]) == {}
    assert overlaps(["abab", "带<|"], ["<|im_end|>"]) == {"带<|": "<|im_end|>"}
