"""The self-test from the terminal UI; what it does is tested in tests/silence."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from appliance.domain.home import Home
from tests.tui.support import play, seen, until_seen
from tui.screens import selftest
from tui.screens.confirm import ConfirmScreen
from tui.words import t


def test_the_help_leads_to_the_sheet_after_a_question(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The help's key asks first; then what goes on is shown, and at the end the sheet and where it was written."""

    def tested(home: Home, tell: Callable[[str], None], is_over: Callable[[], bool]) -> Path:
        tell("▸ one \x1b[31m[/b]")
        sheet = home.root / "sheet.txt"
        sheet.write_text("everything [/b] is well\n" * 100, "utf-8")
        return sheet

    monkeypatch.setattr(selftest, "selftest_apart", tested)

    async def story(pilot: Pilot[Any]) -> None:
        await pilot.press("f1")
        await until_seen(pilot, t("keys.selftest"))
        await pilot.press("t")
        await until_seen(pilot, t("selftest.question"))
        await pilot.press("enter")
        await pilot.pause()
        assert not isinstance(pilot.app.screen, ConfirmScreen)
        assert "everything" not in seen(pilot.app)
        await pilot.press("t", "tab", "enter")
        assert t("selftest.written", path="")[:4] in await until_seen(pilot, "everything [/b] is well")
        await pilot.press("pagedown", "escape")
        await until_seen(pilot, t("help.keys_here"))

    play(Home(tmp_path), story)


def test_the_palette_knows_it(tmp_path: Path) -> None:
    """It is found by its words."""

    async def story(pilot: Pilot[Any]) -> None:
        await pilot.press("ctrl+p")
        await pilot.pause()
        await pilot.press(*t("keys.selftest"))
        await until_seen(pilot, t("key_help.selftest")[:10])

    play(Home(tmp_path), story)
