"""Figures as rows write them."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.stages.ingest.traffic import figures, wording


@pytest.mark.parametrize(
    ("value", "decimals", "text"),
    [
        (3.0, 2, "3"),
        (12.5, 2, "12.5"),
        (2.675, 2, "2.68"),
        (0.5, 0, "1"),
        (Decimal("-0.001"), 2, "0"),
        (Fraction(1, 3), 3, "0.333"),
        (1200, 0, "1200"),
    ],
)
def test_rounding_is_done_by_hand(value: figures.Number, decimals: int, text: str) -> None:
    """Half is rounded up, idle zeros are left out, and there is no minus nought."""
    assert figures.plain(value, decimals) == text


def test_units_are_written() -> None:
    """Each figure has the unit of its kind."""
    assert figures.kilometres_per_hour(Decimal("13.89")) == "50 km/h"
    assert (figures.seconds(40.0), figures.metres(183.2), figures.flow(777.7), figures.percent(0.4645)) == (
        "40 s",
        "183.2 m",
        "778 pcu/h",
        "46.5%",
    )


@given(st.decimals(min_value=-(10**9), max_value=10**9, places=4))
def test_a_figure_is_within_half_of_its_last_place(value: Decimal) -> None:
    """What is written is the nearest figure of two decimals."""
    assert abs(Decimal(figures.plain(value)) - value) <= Decimal("0.005")


@given(st.lists(st.text("ab中", max_size=4), min_size=1, max_size=4), st.lists(st.text("ab中", max_size=4), min_size=1, max_size=4))
def test_wordings_are_chosen_by_content(one: list[str], other: list[str]) -> None:
    """Equal contents are equal numbers, different ones are different, and parts do not run into each other."""
    assert (wording.number(*one) == wording.number(*other)) == (one == other)
