"""Importing a file by the UI: the guess is shown on sample rows, every part of it can be changed, and then it is a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from textual.pilot import Pilot
from textual.widgets import Button, Select

from appliance.domain.home import Home
from tests.tui.support import play, until_seen
from tui.screens.importing import Import, ImportScreen
from tui.words import t

CALLS = "甲栏,乙栏,日期\n路口红灯太长怎么办？,已转信号科核查配时。,2026-01-03\n电动车逆行如何处罚？,处警告或者罚款。,2026-01-04\n"


def test_columns_that_nobody_could_guess_are_chosen_from_those_there_are(tmp_path: Path) -> None:
    """A GB18030 table with unknown headings: its columns are offered, sample rows appear once they are chosen, the choices are kept."""
    file = tmp_path / "来电.csv"
    file.write_bytes(CALLS.encode("gb18030"))
    decided: list[Import | None] = []

    async def story(pilot: Pilot[Any]) -> None:
        screen = ImportScreen(file)
        await pilot.app.push_screen(screen, decided.append)
        await until_seen(pilot, t("data.field_output"), 600)
        assert screen.query_one("#import", Button).disabled
        screen.query_one("#column-instruction", Select).value = "甲栏"
        screen.query_one("#column-output", Select).value = "乙栏"
        shown = await until_seen(pilot, "gb18030 ", 600)
        assert "已转信号科核查配时" in await until_seen(pilot, "路口红灯太长怎么办", 600) or shown
        screen.query_one("#import", Button).press()
        await pilot.pause()

    play(Home(tmp_path / "home"), story, (100, 40))
    assert decided == [Import(file, "来电", {"format": "auto", "encoding": "auto", "columns": {"instruction": "甲栏", "output": "乙栏"}})]


def test_a_format_that_was_taken_wrongly_is_changed(tmp_path: Path) -> None:
    """A table that could be running text as well: the other formats of such a file are offered, and the chosen one shows its rows."""
    file = tmp_path / "通告.csv"
    file.write_text("问题,回答\n路口红灯太长怎么办？,已转信号科核查配时。\n", "utf-8")
    decided: list[Import | None] = []

    async def story(pilot: Pilot[Any]) -> None:
        screen = ImportScreen(file)
        await pilot.app.push_screen(screen, decided.append)
        await until_seen(pilot, "csv · ", 600)
        screen.query_one("#format", Select).value = "text"
        await until_seen(pilot, "text · ", 600)
        assert not screen.query_one("#import", Button).disabled
        screen.query_one("#import", Button).press()
        await pilot.pause()

    play(Home(tmp_path / "home"), story, (100, 40))
    assert decided[0] is not None
    assert decided[0].choices["format"] == "text"
