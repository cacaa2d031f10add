"""Counts that stay small however many rows there are."""

from __future__ import annotations

import hashlib
from array import array
from collections import Counter

import numpy as np

from appliance.domain.description import LIMITS, Classes, Lengths

_EXACT = 1 << 16
_BARS = 12
_MANY = 50_000
_SHOWN_VALUES = 50


class LengthCounts:
    """Lengths of rows: exact up to 65,536, to within 1 % above, in at most 70,000 counters."""

    def __init__(self) -> None:
        self._counts: Counter[int] = Counter()
        self._total = 0
        self._longest = 0

    def add(self, length: int) -> None:
        """Count one row."""
        self._total += length
        self._longest = max(self._longest, length)
        step = 1 if length < _EXACT else 1 << (length.bit_length() - 8)
        self._counts[length - length % step] += 1

    def merge(self, other: LengthCounts) -> None:
        """Take the counts of other rows in."""
        self._total += other._total
        self._longest = max(self._longest, other._longest)
        self._counts.update(other._counts)

    def lengths(self) -> Lengths:
        """All that is told of them."""
        rows = self._counts.total()
        lengths = sorted(self._counts)
        upto = np.cumsum([self._counts[length] for length in lengths]) if lengths else np.zeros(0)

        def at(share: float) -> int:
            return lengths[int(np.searchsorted(upto, share * rows))] if rows else 0

        return Lengths(
            total=self._total,
            mean=round(self._total / rows, 2) if rows else 0.0,
            median=at(0.5),
            p95=at(0.95),
            longest=self._longest,
            histogram=self._histogram(at(0.99)),
            beyond=tuple((limit, sum(count for length, count in self._counts.items() if length > limit)) for limit in LIMITS),
        )

    def _histogram(self, usual: int) -> tuple[tuple[int, int], ...]:
        """Bars of one round width for 99 % of the rows; the last one takes the rest."""
        width = _round_up(max(1, -(-usual // _BARS)))
        bars: Counter[int] = Counter()
        for length, count in self._counts.items():
            bars[min(_BARS, max(0, length - 1) // width)] += count
        last = max(bars, default=0)
        ends = [self._longest if bar == last else width * (bar + 1) for bar in range(last + 1)]
        return tuple((end, bars[bar]) for bar, end in enumerate(ends)) if bars else ()


class DistinctTexts:
    """How many different texts there are: eight bytes for each that was seen."""

    def __init__(self) -> None:
        self._hashes = array("Q")

    def add(self, text: str) -> None:
        """Take a text in, without regard to white space and case."""
        plain = "".join(text.split()).casefold().encode("utf-8", "surrogatepass")
        self._hashes.append(int.from_bytes(hashlib.blake2b(plain, digest_size=8).digest()))

    def merge(self, other: DistinctTexts) -> None:
        """Take other texts in."""
        self._hashes.extend(other._hashes)

    def count(self) -> int:
        """Different ones."""
        return len(np.unique(np.frombuffer(self._hashes, np.uint64))) if self._hashes else 0


class CommonValues:
    """The commonest of many values. When there are too many different ones, those that were seen once are forgotten."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self.total = 0

    def add(self, value: str) -> None:
        """Count one."""
        self.total += 1
        self._counts[value] += 1
        self._forget_rare()

    def merge(self, other: CommonValues) -> None:
        """Take other counts in."""
        self.total += other.total
        self._counts.update(other._counts)
        self._forget_rare()

    def _forget_rare(self) -> None:
        if len(self._counts) > _MANY:
            often = Counter({known: count for known, count in self._counts.items() if count > 1})
            # Where all are rare, none is the commonest.
            self._counts = often if len(often) <= _MANY // 2 else Counter(dict(often.most_common(_MANY // 2)))

    def commonest(self) -> tuple[str, int]:
        """The one that was seen most, and how often."""
        return self._counts.most_common(1)[0] if self._counts else ("", 0)

    def classes(self) -> Classes:
        """As the values of a label."""
        shown = dict(self._counts.most_common(_SHOWN_VALUES))
        return Classes(rows=self.total, values=shown, others=self.total - sum(shown.values()))


def _round_up(width: int) -> int:
    """The next of 1, 2, 5, 10, 20, 50 …"""
    scale = int("1" + "0" * (len(str(width)) - 1))
    return next(step * scale for step in (1, 2, 5, 10) if step * scale >= width)
