"""What all tests of the terminal UI share."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def speaks_chinese(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first language."""
    monkeypatch.setenv("GREENWAVE_LANG", "zh")
