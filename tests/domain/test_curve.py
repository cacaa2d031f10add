"""Curves thinned to what can be seen."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from appliance.domain.curve import Point, thinned


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=500), st.integers(4, 60))
def test_the_picture_stays(values: list[float], limit: int) -> None:
    """Never more points than allowed, in their order, with the first, the last, the lowest and the highest."""
    points: list[Point] = list(enumerate(values))
    kept = thinned(points, limit)
    assert len(kept) <= max(limit, 4)
    assert list(kept) == sorted(set(kept) & set(points))
    assert {kept[0], kept[-1]} == {points[0], points[-1]}
    heights = [value for _, value in kept]
    assert (min(heights), max(heights)) == (min(values), max(values))


def test_a_breakdown_is_seen() -> None:
    """One value in 100,000 that is no number, one peak and one dip are all among 2,000 points."""
    values = [2.0 + math.sin(place / 900) for place in range(100_000)]
    values[31_234], values[64_321], values[77_777] = math.nan, 9.0, -9.0
    kept = dict(thinned(list(enumerate(values))))
    assert len(kept) <= 2000
    assert math.isnan(kept[31_234])
    assert (kept[64_321], kept[77_777]) == (9.0, -9.0)
