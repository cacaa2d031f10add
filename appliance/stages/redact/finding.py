"""What rules look at and what they find."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import ahocorasick_rs
import msgspec

from appliance.stages.redact.numbers import BEGINNINGS, read_numbers
from appliance.stages.redact.spelling import folded

_NUMBERS_OF = {length: f"numbers of {length}" for length in BEGINNINGS}
"""Digits of a number → the group of such numbers."""


def numbers_of(*lengths: int) -> frozenset[str]:
    """The groups of numbers of so many digits, which texts have beside those of anchors."""
    return frozenset(_NUMBERS_OF[length] for length in lengths)


class Find(msgspec.Struct, frozen=True):
    """A place in a text that holds personal data, or may."""

    kind: str
    start: int
    end: int
    value: str
    """The same for every spelling of the same thing; secret."""
    sure: bool = True
    """Whether nobody needs to look at it."""


class Anchors:
    """The words that rules ask for, all looked for in one pass (Aho–Corasick): patterns are then tried beside them and nowhere else."""

    def __init__(self, groups: Iterable[Mapping[str, Sequence[str]]]) -> None:
        wanted = list(dict.fromkeys((word, group) for named in groups for group, words in named.items() for word in words))
        self._groups = tuple(group for _, group in wanted)
        self._automaton = ahocorasick_rs.AhoCorasick([word for word, _ in wanted], implementation=ahocorasick_rs.Implementation.DFA)

    def places(self, folded_text: str) -> dict[str, list[tuple[int, int]]]:
        """Of every group of which a word occurs, where: (start, end), overlapping ones too, by their end."""
        found: dict[str, list[tuple[int, int]]] = {}
        groups = self._groups
        for pattern, start, end in self._automaton.find_matches_as_indexes(folded_text, overlapping=True):
            group = groups[pattern]
            if group in found:
                found[group].append((start, end))
            else:
                found[group] = [(start, end)]
        return found


class Text:
    """One text with the readings that several rules share."""

    __slots__ = ("_places", "folded", "numbers")

    def __init__(self, raw: str, anchors: Anchors) -> None:
        self.folded = folded(raw)
        self._places = anchors.places(self.folded)
        self.numbers = tuple(read_numbers(self.folded))
        """Every number of a length that a rule asks for."""
        for number in self.numbers:
            self._places.setdefault(_NUMBERS_OF[len(number.digits)], []).append((number.start, number.end))

    @property
    def groups(self) -> Iterable[str]:
        """The groups of anchors and numbers that it has."""
        return self._places

    def places(self, group: str) -> Sequence[tuple[int, int]]:
        """Where words of a group of anchors stand."""
        return self._places.get(group, ())

    def before(self, place: int, chars: int = 14) -> str:
        """What is written before a place, in the same line."""
        return self.folded[max(0, place - chars) : place].rpartition("\n")[2]

    def after(self, place: int, chars: int = 10) -> str:
        """What is written behind a place, in the same line."""
        return self.folded[place : place + chars].partition("\n")[0]
