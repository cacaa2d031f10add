"""Fewer points for the same picture."""

from __future__ import annotations

from collections.abc import Sequence

Point = tuple[float, float]


def thinned(points: Sequence[Point], limit: int) -> list[Point]:
    """At most ``limit`` points (≥ 4) in their order, the lowest and the highest of every stretch among them, and the first and last."""
    if len(points) <= limit:
        return list(points)
    stretches = (limit - 2) // 2
    kept = [points[0]]
    inner = len(points) - 2
    for index in range(stretches):
        stretch = range(1 + index * inner // stretches, 1 + (index + 1) * inner // stretches)
        lowest, highest = min(stretch, key=lambda place: points[place][1]), max(stretch, key=lambda place: points[place][1])
        kept += [points[place] for place in sorted({lowest, highest})]
    return [*kept, points[-1]]
