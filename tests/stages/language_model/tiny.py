"""Small data for tests of training and examination; the bases are those of the export's tests."""

from __future__ import annotations

from pathlib import Path

from appliance.domain.conversation import Conversation, Message, to_json

PLACES = ("人民路", "解放路", "中山路", "滨江道", "学院街", "Ring Road")
FACTS = ("限速60公里", "早高峰禁止左转", "绿灯35秒", "夜间黄闪", "is closed on Monday")


def conversation(*texts: str, system: str = "") -> Conversation:
    """A conversation of user and assistant in turn."""
    turns = [Message("assistant" if place % 2 else "user", text) for place, text in enumerate(texts)]
    return Conversation(tuple([Message("system", system)] if system else []) + tuple(turns))


def facts(count: int) -> list[Conversation]:
    """Conversations of different lengths, every third with two turns."""
    rows = []
    for number in range(count):
        place, fact = PLACES[number % len(PLACES)], FACTS[number % len(FACTS)]
        texts = [f"{place}{number}号路口有什么规定？" + "请详细说明。" * (number % 4), f"{place}{number}号：{fact}。"]
        rows.append(conversation(*texts, *(["还有呢？", f"没有了{number}。"] if number % 3 == 0 else [])))
    return rows


def write_rows(path: Path, rows: list[Conversation]) -> Path:
    """A ``rows.jsonl``."""
    path.write_bytes(b"".join(to_json(row) + b"\n" for row in rows))
    return path
