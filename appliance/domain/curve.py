"""One measured number over time, with as many points as a person can see."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

Point = tuple[int, float]
"""Step and value."""

VISIBLE_POINTS = 2000
"""More points than this are never drawn side by side, and a curve of 100,000 takes a plot a second."""


class Curve(msgspec.Struct, frozen=True, kw_only=True):
    """A metric of a run."""

    name: str
    points: tuple[Point, ...]
    """In the order in which they were measured; every dip and every peak of the whole is among them."""
    total: int
    """Points there were."""
    last: float
    """The newest value."""


def thinned(points: Sequence[Point], limit: int = VISIBLE_POINTS) -> tuple[Point, ...]:
    """At most ``limit`` points, 4 at least: the first and the last, and of equal stretches between them the lowest and the highest.

    A value that is no number counts as the highest, so that a training that broke down is seen to have.
    """
    if len(points) <= limit:
        return tuple(points)
    inner, stretches = len(points) - 2, (limit - 2) // 2
    kept = [points[0]]
    for number in range(stretches):
        stretch = range(1 + number * inner // stretches, 1 + (number + 1) * inner // stretches)
        lowest = min(stretch, key=lambda place: _height(points[place]))
        highest = max(stretch, key=lambda place: _height(points[place]))
        kept += [points[place] for place in sorted({lowest, highest})]
    return (*kept, points[-1])


def _height(point: Point) -> float:
    value = point[1]
    return value if value == value else float("inf")
