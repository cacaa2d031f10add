"""Different answers to one question: a model cannot learn both, and one of them is wrong.

Questions are the same when they differ in nothing but case, white space and punctuation; so are answers.
"""

from __future__ import annotations

import hashlib
import re
from array import array
from collections.abc import Iterator, Set

from appliance.domain.conversation import Conversation
from appliance.domain.event import Emit
from appliance.domain.recipe import CleaningRecipe
from appliance.domain.row import Row
from appliance.stages.clean.rules.rule import Dropped, Judge, Passed, Verdicts

_EXAMPLES = 5
_UNHEARD = re.compile(r"[\W_]+")


def question_and_answer(row: Row) -> tuple[int, int]:
    """Hashes (64 bits) of all turns before the last answer, and of that answer; zeros for documents and preferences."""
    if not isinstance(row, Conversation) or row.rejected or not row.messages:
        return 0, 0
    *before, answer = row.messages
    return _hash("\x00".join(_heard(message.content) for message in before)), _hash(_heard(answer.content))


def contradicting(questions: array[int], answers: array[int], gone: Set[int] = frozenset()) -> Iterator[list[int]]:
    """Rows (counted from 0) that answer one question in at least two ways, a list for each question, in the order of first rows."""
    import numpy as np

    asked, answered = np.array(questions, np.uint64), np.array(answers, np.uint64)
    there = np.flatnonzero(asked)
    order = there[np.argsort(asked[there], kind="stable")]
    borders = np.flatnonzero(np.diff(asked[order])) + 1
    found = []
    # Only questions that are asked twice are looked at one by one.
    starts, ends = np.concatenate([[0], borders]), np.concatenate([borders, [len(order)]])
    for start, end in zip(starts[ends - starts > 1], ends[ends - starts > 1], strict=True):
        rows = [int(row) for row in order[start:end] if int(row) not in gone]
        if len({int(answered[row]) for row in rows}) > 1:
            found.append(rows)
    yield from sorted(found)


def make(recipe: CleaningRecipe) -> Judge | None:
    """List such rows, keep the first of each question with those that agree with it, or drop them all."""
    if recipe.contradictions == "off":
        return None

    def judge(passed: Passed, gone: Set[int], _emit: Emit) -> Verdicts:
        groups = list(contradicting(passed.questions, passed.answers, gone))
        dropped = {}
        for rows in groups:
            kept = passed.answers[rows[0]] if recipe.contradictions == "keep_first" else None
            told = {"first_line": passed.lines[rows[0]], "rows": len(rows)}
            if recipe.contradictions != "list":
                dropped.update({row: Dropped("row_contradiction", told) for row in rows if passed.answers[row] != kept})
        facts = {"groups": len(groups), "grouped": sum(map(len, groups))}
        return Verdicts(dropped, [rows[:3] for rows in groups[:_EXAMPLES]], facts)

    return judge


def _heard(text: str) -> str:
    return _UNHEARD.sub("", text.lower()) or text


def _hash(text: str) -> int:
    # Never zero, which stands for no question at all.
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()) or 1
