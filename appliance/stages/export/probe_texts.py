"""Texts on which two tokenizers are compared: everything that has been seen to tell them apart."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Sequence

COUNT = 400

_PHRASES = (
    "信号相位", "绿波带协调控制", "早高峰", "交织区", "直行左转", "事故处理", "驾驶人未系安全带。", "晚高峰拥堵指数",
    "人民路与建设大街交叉口", "肇事逃逸", "日本語の信号", "한국어", "the green split", "I've", "don't", "HE'LL", "we'Re",
    "Webster's formula", "Straße", "naïve café", "нещо на български", "ไทย", "C=(1.5L+5)/(1-Y)", "v/c≥0.95",
    "http://example.com/a?b=1&c=%20", '{"phase": 2}', "```python\nx = 1\n```", "~~~", "###", "……", "——", "“引号”", "（全角）",
    "①②③", "ⅣⅫ", "½¾", "１２３", "٣٤٥", "𝟘𝟙", "½ a", "ﬁ", "㎞/h", "m²",
)  # fmt: skip
_SPACES = (
    " ", "  ", "   ", "\t", "\n", "\n\n", "\r\n", " \n", "\n ", "\u3000", "\u00a0", "\u2003", "\t \t", "     \n\n  ",
    "\x0b", "\x0c", "\u2028", "\u200b",
)  # fmt: skip
_EMOJI = ("🚦", "🚗💨", "👮\u200d♂️", "👨\u200d👩\u200d👧", "🇨🇳", "⚠️", "❤️\u200d🔥", "👍🏽", "🀄")
_CONTROL = (
    "\x00", "\x01", "\x07", "\x08", "\x1b[31m", "\x7f", "\x85", "\u200d", "\u202e", "\ufeff", "\ufffd", "\ue000", "\U0010ffff",
)  # fmt: skip
_COMBINED = (
    "e\u0301", "u\u0308", "n\u0303o", "a\u030a\u0301", "Z\u0351\u036b\u0343", "\u1100\u1161", "か\u3099", "\u0915\u093f",
    "\u0e01\u0e33", "I\u0307",
)  # fmt: skip
_PROVINCES = "京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼"
_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ"


def probe_texts(markers: Sequence[str], seed: int = 17) -> list[str]:
    """``COUNT`` texts, the same for the same seed; ``markers`` are the tokenizer's own added tokens, mixed in."""
    chance = random.Random(seed)  # variety, not secrecy
    texts = [*_PHRASES, *_EMOJI, *_CONTROL, *_COMBINED, *(f"a{space}b" for space in _SPACES), *markers[:20], *_conversations(markers)]
    texts += _added_words(chance, markers)
    while len(texts) < COUNT:
        texts.append("".join(_pieces(chance, markers)))
    return texts


def _pieces(chance: random.Random, markers: Sequence[str]) -> Iterator[str]:
    makers = (
        lambda: chance.choice(_PHRASES),
        lambda: chance.choice(_SPACES),
        lambda: _plate(chance),
        lambda: str(chance.randrange(10 ** chance.randint(1, 18))),
        lambda: f"{chance.uniform(0, 1000):.{chance.randint(0, 5)}f}",
        lambda: f"{chance.randint(1990, 2035)}年{chance.randint(1, 12)}月{chance.randint(1, 31)}日{chance.randint(0, 23):02d}:05",
        lambda: chance.choice(_EMOJI),
        lambda: chance.choice(_CONTROL),
        lambda: chance.choice(_COMBINED),
        lambda: "".join(chr(chance.randint(0x4E00, 0x9FA5)) for _ in range(chance.randint(1, 12))),
        lambda: "".join(chance.choice("abcXYZ'’-_.,;:!?()[]<>|/\\@#$%^&*+=\"`~") for _ in range(chance.randint(1, 12))),
        lambda: chance.choice(_SPACES) * chance.randint(1, 9),
        lambda: chance.choice(markers) if markers else "",
    )
    for _ in range(chance.randint(1, 12)):
        yield chance.choice(makers)()


def _added_words(chance: random.Random, markers: Sequence[str]) -> Iterator[str]:
    """Words that were added to a tokenizer come last among its own tokens: side by side, inside text, and laid over each other."""
    words = chance.sample(markers[20:], min(200, len(markers[20:])))
    for first, second in itertools.pairwise(words):
        yield f"在{first}{second}、{first[:-1]}{second[:1]}内"
    laid = (first + second[size:] for first in words for second in words for size in range(1, 4) if first[-size:] == second[:size])
    yield from itertools.islice(laid, 30)


def _plate(chance: random.Random) -> str:
    """A number plate: five characters after the city's letter, six for new-energy vehicles (GA 36)."""
    tail = "".join(chance.choice(_LETTERS + "0123456789") for _ in range(chance.choice((5, 6))))
    return f"{chance.choice(_PROVINCES)}{chance.choice(_LETTERS)}{chance.choice(('', '·'))}{tail}"


def _conversations(markers: Sequence[str]) -> Iterator[str]:
    for first in markers[:12]:
        for second in markers[:4]:
            yield f"{first}user\n京A12345 在哪里违停？{second}\n{first}assistant\n"
