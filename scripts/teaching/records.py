"""The sample records and the held-out exam of `greenwave demo`, about a city that does not exist.

Every fact comes in four wordings as training rows and in two or three other wordings as exam questions. A few dirty rows
are mixed in, so that import and cleaning have something to show.
"""

import json
import random
from dataclasses import dataclass
from typing import TypeVar

from .facts import Fact, invent_subject, invent_value, kinds, phrases, pick, seeded

SEED = 20260
FACTS_PER_KIND = 3
EXACT_COPIES = 12
DISGUISED_COPIES = 6
UNANSWERED = 3

Row = dict[str, str]
Item = TypeVar("Item")


@dataclass(frozen=True)
class Question:
    """One exam question: all required keywords must occur in the answer."""

    id: str
    question: str
    required: list[str]

    def line(self) -> str:
        """The question as a line of exam.jsonl."""
        fields = {"id": self.id, "question": self.question, "required": self.required, "forbidden": []}
        return json.dumps(fields, ensure_ascii=False)


def city_facts(seed: int = SEED) -> list[Fact]:
    """The facts of the city: three per kind; one subject may carry up to three attributes."""
    chance = seeded(seed)
    facts: list[Fact] = []
    used_answers: set[str] = set()
    for sort in phrases()["subjects"]:
        of_sort = [kind for kind in kinds() if kind.subject == sort]
        subjects = _subjects(chance, sort, max(FACTS_PER_KIND, len(of_sort)), facts)
        for position, kind in enumerate(of_sort):
            for step in range(FACTS_PER_KIND):
                subject = subjects[(position + step) % len(subjects)]
                values = tuple(invent_value(chance, rule) for rule in kind.values)
                # Two subjects of a kind never share a value: otherwise a mixed-up answer could count as right.
                while f"{kind.name}{values}" in used_answers:
                    values = tuple(invent_value(chance, rule) for rule in kind.values)
                used_answers.add(f"{kind.name}{values}")
                facts.append(Fact(kind, subject, values))
    return facts


def _subjects(chance: random.Random, sort: str, count: int, before: list[Fact]) -> list[str]:
    """Subjects whose names share no character with each other (within the sort) and no name with earlier ones."""
    names = frozenset(fact.subject[:2] for fact in before)
    subjects: list[str] = []
    while len(subjects) < count:
        subject = invent_subject(chance, sort, names)
        if not any(set(subject[:2]) & set(other[:2]) for other in subjects):
            subjects.append(subject)
    return subjects


def city_names(seed: int = SEED) -> frozenset[str]:
    """The names of all subjects of the city: pre-training must never use them."""
    return frozenset(fact.subject[:2] for fact in city_facts(seed))


def good_rows(seed: int = SEED) -> list[Row]:
    """The clean training rows: every fact in each of its kind's wordings; one in four carries its question in `input`."""
    chance = seeded(seed + 1)
    instructions = phrases()["frames"]["instructions"]
    rows: list[Row] = []
    for place, fact in enumerate(city_facts(seed)):
        for number, wording in enumerate(fact.kind.records):
            question = fact.ask(wording)
            if number == place % len(fact.kind.records):
                rows.append({"instruction": pick(chance, instructions), "input": question, "output": fact.answer()})
            else:
                rows.append({"instruction": question, "input": "", "output": fact.answer()})
    return shuffled(chance, rows)


def shuffled(chance: random.Random, items: list[Item]) -> list[Item]:
    """The items in a drawn order (Fisher-Yates on `random()`, so that it does not depend on Python's version)."""
    mixed = list(items)
    for last in range(len(mixed) - 1, 0, -1):
        other = int(chance.random() * (last + 1))
        mixed[last], mixed[other] = mixed[other], mixed[last]
    return mixed


def widened(text: str) -> str:
    """The text with full-width digits, as some office software writes them."""
    return text.translate({ord(digit): ord(digit) + 0xFEE0 for digit in "0123456789"})


def disguised(row: Row, manner: int) -> Row:
    """The same row as careless copying leaves it: wide digits and stray blanks; now and then HTML around the question.

    Answers never carry HTML: a pipeline that leaves it in place should not teach it to the model.
    """
    question, answer = row["instruction"], widened(row["output"])
    match manner % 6:
        case 4:
            return {**row, "instruction": f"{question}&nbsp;&nbsp;", "output": answer}
        case 5:
            return {**row, "instruction": f"<b>{question}</b>", "output": f"\t{answer}\r\n"}
        case _:
            return {**row, "instruction": f"  {question}\u3000", "output": f"{answer} "}


def record_lines(seed: int = SEED) -> list[str]:
    """The lines of records.jsonl: the good rows with copies, disguised copies, unanswered rows and one broken line."""
    rows = good_rows(seed)
    chance = seeded(seed + 2)
    plain = [row for row in shuffled(chance, rows) if not row["input"]]
    dirty = plain[:EXACT_COPIES]
    with_digits = [row for row in plain[EXACT_COPIES:] if widened(row["output"]) != row["output"]]
    dirty += [disguised(row, manner) for manner, row in enumerate(with_digits[:DISGUISED_COPIES])]
    dirty += [{**row, "output": ""} for row in with_digits[DISGUISED_COPIES:][:UNANSWERED]]
    lines = [json.dumps(row, ensure_ascii=False) for row in rows]
    for row in dirty:
        # Never before the first line: the format is recognised by what stands at the top of the file.
        lines.insert(1 + int(chance.random() * len(lines)), json.dumps(row, ensure_ascii=False))
    broken = json.dumps(plain[-1], ensure_ascii=False)
    lines.insert(len(lines) // 2, broken[: len(broken) * 2 // 3])
    return lines


def exam(seed: int = SEED) -> list[Question]:
    """The exam: each fact in two or three wordings that no row uses."""
    asked: list[tuple[str, list[str]]] = []
    for place, fact in enumerate(city_facts(seed)):
        left_out = place % len(fact.kind.exam)
        for number, wording in enumerate(fact.kind.exam):
            if number != left_out or left_out == 0:
                asked.append((fact.ask(wording), fact.required()))
    mixed = shuffled(seeded(seed + 3), asked)
    return [Question(f"q{number:03d}", *question) for number, question in enumerate(mixed, start=1)]
