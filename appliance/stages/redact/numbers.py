"""Numbers as people and machines write them, read as digits.

A number may be broken by spaces, dashes, dots and hidden characters, spelled in Chinese numerals (一三八, 幺 and 洞 on the radio) and have
letters that a scanner took for digits (O 0, l 1, B 8). Such a run is cut into pieces wherever the script changes or something stands
between; every row of whole pieces with a length that some rule asks for is offered. So a number never begins or ends within a group
of digits, and ``13800138000`` is not found inside a longer order number.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

from appliance.stages.redact.spelling import HIDDEN

_CHINESE = dict(zip("〇零一二三四五六七八九幺洞拐勾两壹贰叁肆伍陆柒捌玖貳參陸", "00123456789107921234567892" + "36", strict=True))
_CONFUSED = dict(zip("OoDQIilZzSsbGBqg", "0000111225566899"[:16], strict=True))
_LETTERS = "".join(_CONFUSED) + "Xx×"
_BREAKS = " \t\n\\-‐‑–—－._·•()（）" + HIDDEN
_ALL = "0-9" + "".join(_CHINESE) + _LETTERS
_BEGIN = "0-9" + "".join(_CHINESE)
_RUN = re.compile(f"[{_BEGIN}](?:[{_BREAKS}]{{0,24}}[{_ALL}]){{5,}}")
"""Begins with a class of characters that a text has few of, so that the rest is skipped at once; letters before it are added later."""
_PLAIN = re.compile(r"[0-9]{6,}[Xx]?\Z")
_PIECE = re.compile(f"[0-9]+|[{''.join(_CHINESE)}]+|[{_LETTERS}]+")
_READ = str.maketrans(_CHINESE | _CONFUSED | {"x": "X", "×": "X"})
_TIES = frozenset("-‐‑–—－._·•" + HIDDEN)

_NOT_DIGITS = "直次个样定起再般下辆位名条遍回趟张台"
"""Behind a numeral they make a word of it: 一直, 两次."""
LENGTHS = frozenset({7, 8, 10, 11, 12, 13, 15, 16, 17, 18, 19})
"""Of the numbers that rules know."""
_LONGEST = max(LENGTHS)


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


class _Piece(NamedTuple):
    start: int
    end: int
    digits: str
    script: str
    """``d`` digits, ``c`` Chinese, ``l`` letters."""


def read_numbers(folded: str) -> Iterator[Number]:
    """Every number in a folded text that has one of ``LENGTHS``. Takes time in proportion to the text, whatever stands in it."""
    for run in _RUN.finditer(folded):
        start, end = run.span()
        while start > run.start() - 3 and folded[start - 1 : start] in _CONFUSED:
            start -= 1
        if folded[end - 1] in "一两二三四五六七八九" and (behind := folded[end : end + 1]) and behind in _NOT_DIGITS:
            end -= 1
        written = folded[start:end]
        if _PLAIN.match(written):
            if len(written) in LENGTHS:
                yield Number(start, end, written.upper(), (len(written),), 0, 0, _hangs_on(folded, start, end))
            if len(written) - 1 in LENGTHS and written[-1] in "Xx":
                yield Number(start, end - 1, written[:-1], (len(written) - 1,), 0, 0, tied=True)
            continue
        yield from _of_run(folded, start, end)


def _of_run(folded: str, start: int, end: int) -> Iterator[Number]:
    pieces = [_piece(match) for match in _PIECE.finditer(folded, start, end)]
    if sum(len(piece.digits) for piece in pieces if piece.script != "l") < 6:
        return
    for first in range(len(pieces)):
        length = 0
        for last in range(first, min(first + _LONGEST, len(pieces))):
            length += len(pieces[last].digits)
            if length > _LONGEST:
                break
            if length in LENGTHS and length == last - first + 1 and _is_among_singles(folded, pieces, last):
                continue
            if length in LENGTHS and (number := _joined(folded, pieces, first, last)) is not None:
                yield number


def _is_among_singles(folded: str, pieces: list[_Piece], last: int) -> bool:
    """Whether single digits are followed by more of them: a part of something longer, such as a row of a table."""
    behind = last + 1 < len(pieces) and len(pieces[last + 1].digits) == 1
    return behind and "\n" not in folded[pieces[last].end : pieces[last + 1].start] and pieces[last + 1].digits != "X"


def _piece(match: re.Match[str]) -> _Piece:
    written = match[0]
    script = "d" if "0" <= written[0] <= "9" else "c" if written[0] in _CHINESE else "l"
    return _Piece(match.start(), match.end(), written.translate(_READ), script)


def _joined(folded: str, pieces: list[_Piece], first: int, last: int) -> Number | None:
    """The number of these pieces; None if it is mostly letters or has an X anywhere but at its end."""
    taken = pieces[first : last + 1]
    digits = "".join(piece.digits for piece in taken)
    confused = sum(len(piece.digits) for piece in taken if piece.script == "l" and piece.digits != "X")
    if "X" in digits[:-1] or 5 * confused > 2 * len(digits) or (confused and taken[0].script == "l" and len(taken[0].digits) > 4):
        return None
    groups = [len(taken[0].digits)]
    for left, right in pairwise(taken):
        if left.end == right.start or not folded[left.end : right.start].strip(HIDDEN):
            groups[-1] += len(right.digits)
        else:
            groups.append(len(right.digits))
    tied = _hangs_on(folded, taken[0].start, taken[-1].end)
    if first > 0:
        tied = tied or _is_tied(pieces[first - 1], folded[pieces[first - 1].end : taken[0].start], groups)
    if last + 1 < len(pieces):
        tied = tied or _is_tied(pieces[last + 1], folded[taken[-1].end : pieces[last + 1].start], groups)
    spelled = sum(len(piece.digits) for piece in taken if piece.script == "c")
    return Number(taken[0].start, taken[-1].end, digits, tuple(groups), confused, spelled, tied)


def _is_tied(neighbour: _Piece, gap: str, groups: list[int]) -> bool:
    """Whether what stands between two pieces holds them together; between single digits everything does.

    A single numeral beside digits is a word: 13800138000一直打不通.
    """
    if not gap and neighbour.script == "c" and len(neighbour.digits) == 1 and max(groups) > 1:
        return False
    return (len(groups) > 4 and max(groups) == 1 and "\n" not in gap) or all(char in _TIES for char in gap)


def _hangs_on(folded: str, start: int, end: int) -> bool:
    before, after = folded[start - 1 : start], folded[end : end + 1]
    return (before.isascii() and (before.isalnum() or before == "_")) or (after.isascii() and (after.isalnum() or after == "_"))
