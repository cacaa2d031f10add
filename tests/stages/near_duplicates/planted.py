"""Texts with planted near-duplicates, and their exact Jaccard similarity, computed without any of the code under test."""

from __future__ import annotations

import random
from collections import defaultdict
from functools import cache
from itertools import combinations

WORDS = (
    "机动车", "非机动车", "行人", "路口", "信号灯", "限速", "超车", "让行", "停车线", "人行横道", "应急车道", "事故", "责任", "驾驶人",
    "处罚", "记分", "周期", "绿信比", "相位", "高峰", "绕行", "民警", "现场", "报警", "车辆", "通行", "减速", "掉头", "左转",
    "右转", "直行", "排队", "拥堵", "施工", "恢复", "当事人", "认定", "主要", "次要", "全部", "雨天", "夜间", "学校", "桥梁",
    "隧道", "护栏", "标线", "标志", "公里", "每小时",
)  # fmt: skip


@cache
def grams(text: str) -> frozenset[str]:
    """Character 5-grams of what is compared: no white space, small letters; a shorter text is one gram."""
    plain = "".join(text.split()).lower()
    return frozenset(plain[place : place + 5] for place in range(max(1, len(plain) - 4))) if plain else frozenset()


def jaccard(one: str, other: str) -> float:
    """By the definition."""
    left, right = grams(one), grams(other)
    return len(left & right) / len(left | right) if left | right else 0.0


def texts_with_copies(count: int, seed: int = 3, copies: float = 0.3) -> list[str]:
    """Texts of a small vocabulary; of each third one follow one to three copies with a few characters changed, shuffled."""
    chance = random.Random(seed)
    found: list[str] = []
    while len(found) < count:
        text = "".join(chance.choices(WORDS, k=chance.randint(8, 90)))
        found.append(text)
        for _ in range(chance.randint(1, 3) if chance.random() < copies else 0):
            letters = list(text)
            for _ in range(chance.randint(1, max(1, len(text) // 25))):
                place = chance.randrange(len(letters))
                letters[place : place + 1] = chance.choice((chance.choice(WORDS), "", letters[place] * 2))
            found.append("".join(letters))
    chance.shuffle(found)
    return found[:count]


def alike_pairs(texts: list[str], threshold: float) -> set[tuple[int, int]]:
    """Every pair from the threshold on, by comparing all that share a gram which is not too common."""
    rows_of: dict[str, list[int]] = defaultdict(list)
    sets = [grams(text) for text in texts]
    for row, some in enumerate(sets):
        for gram in some:
            rows_of[gram].append(row)
    pairs: set[tuple[int, int]] = set()
    for rows in rows_of.values():
        if len(rows) <= 12:
            pairs.update(combinations(rows, 2))
    return {(one, other) for one, other in pairs if len(sets[one] & sets[other]) >= threshold * len(sets[one] | sets[other])}
