"""What every view looks like, at 80×24 and 120×40, in both languages."""

from __future__ import annotations

from pathlib import Path

import pytest
from syrupy.assertion import SnapshotAssertion

from scripts.screens.pictures import pictures

HOUSE = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.parametrize("size", [(80, 24), (120, 40)], ids=["80x24", "120x40"])
@pytest.mark.parametrize("language", ["zh", "en"])
def test_views_look_as_they_did(size: tuple[int, int], language: str, snapshot: SnapshotAssertion) -> None:
    """Every view's text is the one that was looked at and found good."""
    for view, (svg, text) in pictures(language, size).items():
        assert text == snapshot(name=view)
        if size == (80, 24):
            kept = HOUSE / "docs" / "screens" / language / f"{view}.svg"
            assert kept.read_text("utf-8") == svg, "run scripts/make-pictures"
