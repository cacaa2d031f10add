"""Rows of conversations for samples."""

from __future__ import annotations

import random
from pathlib import Path

from appliance.domain.conversation import Conversation, Message, to_json

_WORDS = ("交叉口", "信号相位", "绿波带", "早高峰", "the green wave", "京A12345", "90 seconds", "直行左转", "事故处理", "？", "，", " ")


def write_rows(path: Path, count: int = 40, seed: int = 5) -> Path:
    """So many random conversations of one or two turns."""
    chance = random.Random(seed)

    def said() -> str:
        return "".join(chance.choice(_WORDS) for _ in range(chance.randint(2, 12)))

    rows = [
        Conversation(tuple(Message(role, said()) for _ in range(chance.randint(1, 2)) for role in ("user", "assistant")))
        for _ in range(count)
    ]
    path.write_bytes(b"".join(to_json(row) + b"\n" for row in rows))
    return path
