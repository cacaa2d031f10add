"""Cells that look like formulas."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from appliance.domain.spreadsheet import guarded, unguarded

DANGEROUS = ("=1+1", "+1", "-2", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1", "＋1", "－1", "＠A1", "=cmd|'/c calc'!A0")


@pytest.mark.parametrize("cell", DANGEROUS)
def test_formulas_become_text(cell: str) -> None:
    """An apostrophe stands first, and goes again."""
    assert guarded(cell) == "'" + cell
    assert unguarded("'" + cell) == cell


@given(st.text("=+-@＝\t\r\n' aé红", max_size=12))
@example("'=1")
@example("''=1")
@example("'hello'")
def test_every_cell_comes_back(cell: str) -> None:
    """The rule loses nothing, whatever a cell begins with, and what it makes is never a formula."""
    assert unguarded(guarded(cell)) == cell
    assert guarded(cell)[:1] not in set("=+-@＝＋－＠\t\r\n")


@given(st.text("=+-@' a", max_size=8))
def test_ordinary_cells_stay(cell: str) -> None:
    """A cell that needs no apostrophe is not touched in either direction."""
    if guarded(cell) == cell:
        assert unguarded(cell) == cell
