"""Different answers to one question: a model cannot learn both, and one of them is wrong.

Questions are the same when they differ in nothing but case, white space and punctuation; so are answers.
"""

from __future__ import annotations

import hashlib
import re
from array import array
from collections.abc import Iterator, Set
from pathlib import Path

from appliance.domain.conversation import Conversation
from appliance.domain.event import Emit
from appliance.domain.recipe import CleaningRecipe
from appliance.domain.row import Row, row_from_json
from appliance.files.lines import read_lines
from appliance.stages.clean.rules.rule import Dropped, Judge, Passed, Verdicts

_EXAMPLES = 5
_HEARD = re.compile(r"[^\W_]+")


def question_of(row: Row) -> int:
    """A hash (64 bits) of all turns before the last answer; zero for documents and preferences."""
    if not isinstance(row, Conversation) or row.rejected or not row.messages:
        return 0
    return _hash("\x00".join(_heard(message.content) for message in row.messages[:-1]))


def contradicting(rows: Path, questions: array[int], gone: Set[int] = frozenset()) -> Iterator[list[tuple[int, int]]]:
    """Rows that answer one question in at least two ways, a list for each question: (row, counted from 0; hash of its answer).

    ``questions`` are those of all rows of a ``rows.jsonl``. Lists are in the order of their first rows.
    """
    import numpy as np

    asked = np.array(questions, np.uint64)
    _, place, count = np.unique(asked, return_inverse=True, return_counts=True)
    twice = np.flatnonzero((count[place] > 1) & (asked != 0))
    waiting = {int(row): int(place[row]) for row in twice if int(row) not in gone}
    answers: dict[int, list[tuple[int, int]]] = {}
    if waiting:
        for number, _, data in read_lines(rows):
            question = waiting.get(number - 1)
            if question is not None:
                row = row_from_json(data)
                assert isinstance(row, Conversation)
                answers.setdefault(question, []).append((number - 1, _hash(_heard(row.messages[-1].content))))
    yield from sorted(given for given in answers.values() if len({answer for _, answer in given}) > 1)


def make(recipe: CleaningRecipe) -> Judge | None:
    """List such rows, keep the first of each question with those that agree with it, or drop them all."""
    if recipe.contradictions == "off":
        return None

    def judge(passed: Passed, gone: Set[int], _emit: Emit) -> Verdicts:
        groups = list(contradicting(passed.rows, passed.questions, gone))
        dropped = {}
        for given in groups:
            first, answer = given[0]
            kept = answer if recipe.contradictions == "keep_first" else None
            told = {"first_line": passed.lines[first], "rows": len(given)}
            if recipe.contradictions != "list":
                dropped.update({row: Dropped("row_contradiction", told) for row, other in given if other != kept})
        facts = {"groups": len(groups), "grouped": sum(map(len, groups))}
        return Verdicts(dropped, [[row for row, _ in given[:3]] for given in groups[:_EXAMPLES]], facts)

    return judge


def _heard(text: str) -> str:
    return "".join(_HEARD.findall(text.lower())) or text


def _hash(text: str) -> int:
    # Never zero, which stands for no question at all.
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()) or 1
