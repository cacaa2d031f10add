"""Kinds of fact, invented subjects and drawn values: what the pre-training text and the sample records are made of.

Everything is drawn from `random.Random` through `random()` alone, whose sequence for a seed Python keeps from version to
version; so the same seed gives the same text everywhere. This module knows neither rows nor models.
"""

import random
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

FOLDER = Path(__file__).parent

Option = TypeVar("Option")


@dataclass(frozen=True)
class Kind:
    """One attribute of one sort of subject, with all its wordings (see kinds.toml)."""

    name: str
    subject: str
    topic: str
    values: tuple[str, ...]
    answer: str
    required: tuple[str, ...]
    records: tuple[str, ...]
    exam: tuple[str, ...]


@dataclass(frozen=True)
class Fact:
    """A subject and the values drawn for one kind of attribute."""

    kind: Kind
    subject: str
    values: tuple[str, ...]

    def ask(self, wording: str) -> str:
        """The question in this wording."""
        return wording.replace("{s}", self.subject).replace("{a}", self.kind.topic)

    def answer(self) -> str:
        """The answer sentence: subject, attribute and value."""
        return self._fill(self.kind.answer)

    def required(self) -> list[str]:
        """What every right answer contains."""
        return [self._fill(keyword) for keyword in self.kind.required]

    def _fill(self, template: str) -> str:
        filled = template.replace("{s}", self.subject)
        for position, value in enumerate(self.values):
            filled = filled.replace(f"{{v{position}}}", value)
        return filled


@cache
def phrases() -> dict[str, Any]:
    """The word lists and sentence frames of phrases.toml."""
    return tomllib.loads((FOLDER / "phrases.toml").read_text(encoding="utf-8"))


@cache
def kinds() -> tuple[Kind, ...]:
    """All kinds of fact, in the order of kinds.toml."""
    table = tomllib.loads((FOLDER / "kinds.toml").read_text(encoding="utf-8"))
    return tuple(
        Kind(
            name,
            fields["subject"],
            fields["topic"],
            tuple(fields["values"]),
            fields["answer"],
            tuple(fields["required"]),
            tuple(fields["records"]),
            tuple(fields["exam"]),
        )
        for name, fields in table.items()
    )


def seeded(seed: int) -> random.Random:
    """A source of chance for texts."""
    return random.Random(seed)


def pick(chance: random.Random, options: Sequence[Option]) -> Option:
    """One of the options, each equally likely."""
    return options[int(chance.random() * len(options))]


def whole(chance: random.Random, low: int, high: int) -> int:
    """A whole number from low to high, both included."""
    return low + int(chance.random() * (high - low + 1))


def invent_name(chance: random.Random, taken: frozenset[str] = frozenset()) -> str:
    """A two-character name that is not taken and does not repeat a character."""
    characters: str = phrases()["name_characters"]
    while True:
        name = pick(chance, characters) + pick(chance, characters)
        if name[0] != name[1] and name not in taken:
            return name


def invent_time(chance: random.Random, first_hour: int = 5, last_hour: int = 22) -> str:
    """A time of day such as 7时35分; its minutes are rarely round, so that guessing does not pay."""
    return f"{whole(chance, first_hour, last_hour)}时{whole(chance, 10, 59)}分"


def invent_subject(chance: random.Random, sort: str, taken: frozenset[str] = frozenset()) -> str:
    """A subject of this sort with a name that is not taken."""
    return str(pick(chance, phrases()["subjects"][sort])).replace("{n}", invent_name(chance, taken))


def invent_value(chance: random.Random, rule: str, taken: frozenset[str] = frozenset()) -> str:
    """A value by one of the drawing rules that kinds.toml lists; names in it are not taken ones."""
    words = phrases()
    match rule.split():
        case ["int", low, high]:
            return str(whole(chance, int(low), int(high)))
        case ["dec", low, high]:
            return f"{whole(chance, int(low), int(high)) / 100:.2f}"
        case ["time", first_hour, last_hour]:
            return invent_time(chance, int(first_hour), int(last_hour))
        case ["name"]:
            return invent_name(chance, taken)
        case ["colour"]:
            return str(pick(chance, words["shades"]) + pick(chance, words["tints"]))
        case ["weekday"]:
            return str(pick(chance, words["weekdays"]))
        case ["tails"]:
            first = whole(chance, 0, 8)
            return f"{first}和{whole(chance, first + 1, 9)}"
        case ["place"]:
            return invent_name(chance, taken) + str(pick(chance, words["landmarks"]) + pick(chance, words["sides"]))
        case ["cause"]:
            return str(pick(chance, words["vehicles"]) + pick(chance, words["faults"]))
        case ["slogan"]:
            return str(pick(chance, words["slogans_first"]) + pick(chance, words["slogans_second"]))
        case ["code"]:
            return pick(chance, "BDFGHKLMQRTVXZ") + str(whole(chance, 103, 989))
    raise ValueError(f"no drawing rule {rule!r}")


def invent_fact(chance: random.Random, kind: Kind, taken: frozenset[str] = frozenset()) -> Fact:
    """A fact of this kind about a subject whose name is not taken."""
    subject = invent_subject(chance, kind.subject, taken)
    return Fact(kind, subject, tuple(invent_value(chance, rule, taken) for rule in kind.values))
