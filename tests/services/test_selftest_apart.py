"""The self-test in a process of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.domain.errors import ApplianceError
from appliance.domain.home import Home
from appliance.services.selftest_apart import selftest_apart


def test_it_ends_when_it_is_told_to(tmp_path: Path) -> None:
    """What it says is heard; ended early, it leaves no sheet."""
    heard: list[str] = []
    assert selftest_apart(Home(tmp_path), heard.append, lambda: bool(heard)) is None
    assert heard[0].startswith("▸")
    assert list((tmp_path / "sheets").glob("*.txt")) == []


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    """No traceback, and no process."""
    (tmp_path / "sheets").write_text("")
    with pytest.raises(ApplianceError) as refused:
        selftest_apart(Home(tmp_path), print)
    assert refused.value.code == "selftest_no_place"
