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
    heights = [value if value == value else float("inf") for _, value in points]
    kept = [points[0]]
    for number in range(stretches):
        begin, end = 1 + number * inner // stretches, 1 + (number + 1) * inner // stretches
        stretch = heights[begin:end]
        kept += [points[begin + place] for place in sorted({stretch.index(min(stretch)), stretch.index(max(stretch))})]
    return (*kept, points[-1])
