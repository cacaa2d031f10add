"""Numbers as people and machines write them, read as digits.

A number may be broken by spaces, dashes, dots and hidden characters, spelled in Chinese numerals (一三八, 幺 and 洞 on the radio) and have
letters that a scanner took for digits (O 0, l 1, B 8). Such a run is cut into pieces wherever the script changes or something stands
between; every row of whole pieces with a length and a first digit that some rule asks for is offered. So a number never begins or
ends within a group of digits, and ``13800138000`` is not found inside a longer order number.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from appliance.stages.redact.spelling import HIDDEN

_CHINESE = dict(zip("〇零一二三四五六七八九幺洞拐勾两壹贰叁肆伍陆柒捌玖貳參陸", "00123456789107921234567892" + "36", strict=True))
_CONFUSED = dict(zip("OoDQIilZzSsbGBqg", "0000111225566899"[:16], strict=True))
_LETTERS = "".join(_CONFUSED) + "Xx×"
_BREAKS = " \t\n\\-‐‑–—－._·•()（）" + HIDDEN
_ALL = "0-9" + "".join(_CHINESE) + _LETTERS
_BEGIN = "0-9" + "".join(_CHINESE)
_RUN = re.compile(f"[{_BEGIN}](?=[{_BREAKS}{_ALL}]{{5}})(?:[{_BREAKS}]{{0,24}}[{_ALL}]){{5,}}")
"""Begins with a class of characters that a text has few of, so that the rest is skipped at once; letters before it are added later."""
_PLAIN = re.compile(r"[0-9]{6,}[Xx]?\Z")
_PIECE = re.compile(f"[0-9]+|[{''.join(_CHINESE)}]+|[{_LETTERS}]+")
_READ = str.maketrans(_CHINESE | _CONFUSED | {"x": "X", "×": "X"})
_TIES = frozenset("-‐‑–—－._·•" + HIDDEN)

_NOT_DIGITS = "直次个样定起再般下辆位名条遍回趟张台"
"""Behind a numeral they make a word of it: 一直, 两次."""
BEGINNINGS = {
    7: "23456789", 8: "23456789",  # landline without an area code
    10: "0", 11: "01", 12: "0123456789", 13: "8",  # landline, mobile with and without a country code, file number
    15: "0123456789", 16: "2345689", 17: "2345689", 18: "123456789", 19: "2345689",  # identity number, bank card
}  # fmt: skip
"""Of the numbers that rules know: length, rising → first digits that one has. What no rule would look at is not offered to any."""
_SHORTEST = min(BEGINNINGS)
_LEAST_DIGITS = 6
"""Of a run, digits that are no letters."""


class Number(NamedTuple):
    """Some pieces of a run, read as one number."""

    start: int
    end: int
    digits: str
    """``0``–``9``, and ``X`` where an X stands."""
    groups: tuple[int, ...]
    """Digits in each group between breaks."""
    confused: int
    """Letters that were read as digits."""
    spelled: int
    """Chinese numerals."""
    tied: bool
    """More digits, or a letter, hang on to either end: it may be a part of something else."""


def read_numbers(folded: str) -> Iterator[Number]:
    """Every number in a folded text that has one of ``BEGINNINGS``. Takes time in proportion to the text, whatever stands in it."""
    for run in _RUN.finditer(folded):
        start, end = run.span()
        while start > run.start() - 3 and folded[start - 1 : start] in _CONFUSED:
            start -= 1
        if folded[end - 1] in "一两二三四五六七八九" and (behind := folded[end : end + 1]) and behind in _NOT_DIGITS:
            end -= 1
        written = folded[start:end]
        if _PLAIN.match(written):
            length = len(written)
            if written[0] in BEGINNINGS.get(length, ""):
                yield Number(start, end, written.upper(), (length,), 0, 0, _hangs_on(folded, start, end))
            if written[-1] in "Xx" and written[0] in BEGINNINGS.get(length - 1, ""):
                yield Number(start, end - 1, written[:-1], (length - 1,), 0, 0, tied=True)
            continue
        yield from _Run(folded, start, end).numbers()


class _Run:
    """The pieces of a run, with running totals: a row of them is judged without going through it again."""

    def __init__(self, folded: str, start: int, end: int) -> None:
        self._folded = folded
        self._spans: list[tuple[int, int]] = []
        scripts: list[str] = []
        read: list[str] = []
        behind = 0
        self._ends = [0]
        """Digits before each piece, and all of them."""
        for match in _PIECE.finditer(folded, start, end):
            written = match[0]
            if "0" <= written[0] <= "9":
                scripts.append("d")
            else:
                script = "c" if written[0] in _CHINESE else "l"
                written = written.translate(_READ)
                scripts.append("x" if written == "X" else script)
            read.append(written)
            behind += len(written)
            self._ends.append(behind)
            self._spans.append(match.span())
        self._digits = "".join(read)
        self._scripts = "".join(scripts)
        """Of each piece: ``d`` digits, ``c`` Chinese, ``l`` letters, ``x`` a single X."""
        self._has_letters = "l" in self._scripts or "x" in self._scripts

    def numbers(self) -> Iterator[Number]:
        """Every row of whole pieces that is a number."""
        ends, digits, whole = self._ends, self._digits, self._ends[-1]
        if whole - (self._count("lx", 0, len(self._spans)) if self._has_letters else 0) < _LEAST_DIGITS:
            return
        piece_at = {end: place for place, end in enumerate(ends)}
        unfinished = self._unfinished()
        for first, begin in enumerate(ends):
            for length, beginnings in BEGINNINGS.items():
                if begin + length > whole:
                    break
                behind = piece_at.get(begin + length)
                if behind is None or digits[begin] not in beginnings or (length == behind - first and behind in unfinished):
                    continue
                if (number := self._joined(first, behind)) is not None:
                    yield number

    def _count(self, scripts: str, first: int, behind: int) -> int:
        """Digits of some scripts in a row of pieces."""
        ends = self._ends
        return sum(ends[place + 1] - ends[place] for place in range(first, behind) if self._scripts[place] in scripts)

    def _gap(self, behind: int) -> str:
        """What stands before a piece."""
        return self._folded[self._spans[behind - 1][1] : self._spans[behind][0]]

    def _is_single(self, place: int) -> bool:
        return self._ends[place + 1] - self._ends[place] == 1

    def _unfinished(self) -> set[int]:
        """Pieces before which no row of single digits ends: they are single, too, so it is part of something longer, as in a table."""
        places = range(_SHORTEST, len(self._spans))
        return {place for place in places if self._is_single(place) and self._scripts[place] != "x" and "\n" not in self._gap(place)}

    def _joined(self, first: int, behind: int) -> Number | None:
        """The number of the pieces from one to another; None if it is mostly letters or has an X anywhere but at its end."""
        ends, scripts = self._ends, self._scripts[first:behind]
        begin, end = ends[first], ends[behind]
        digits = self._digits[begin:end]
        confused = self._count("l", first, behind) if "l" in scripts else 0
        if "X" in digits[:-1] or 5 * confused > 2 * len(digits) or (scripts[0] == "l" and ends[first + 1] - begin > 4):
            return None
        groups, group = [], begin
        for place in range(first + 1, behind):
            if self._gap(place).strip(HIDDEN):
                groups.append(ends[place] - group)
                group = ends[place]
        groups.append(end - group)
        start, stop = self._spans[first][0], self._spans[behind - 1][1]
        tied = (
            _hangs_on(self._folded, start, stop)
            or (first > 0 and self._is_tied(first - 1, self._gap(first), groups))
            or (behind < len(self._spans) and self._is_tied(behind, self._gap(behind), groups))
        )
        spelled = self._count("c", first, behind) if "c" in scripts else 0
        return Number(start, stop, digits, tuple(groups), confused, spelled, tied)

    def _is_tied(self, neighbour: int, gap: str, groups: list[int]) -> bool:
        """Whether what stands between two pieces holds them together; between single digits everything does.

        A single numeral beside digits is a word: 13800138000一直打不通.
        """
        if not gap and self._scripts[neighbour] == "c" and self._is_single(neighbour) and max(groups) > 1:
            return False
        return (len(groups) > 4 and max(groups) == 1 and "\n" not in gap) or _TIES.issuperset(gap)


def _hangs_on(folded: str, start: int, end: int) -> bool:
    before, after = folded[start - 1 : start], folded[end : end + 1]
    return (before.isascii() and (before.isalnum() or before == "_")) or (after.isascii() and (after.isalnum() or after == "_"))
