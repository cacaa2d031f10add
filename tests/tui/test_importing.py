"""Importing a file by the UI: the guess is shown on sample rows, every part of it can be changed, and then it is a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Button, Select

from appliance.domain.home import Home
from appliance.stages.ingest.importers import IMPORTERS
from appliance.texts.speech import LANGUAGES, Language, catalogue, say
from tests.stages.ingest.office import Cell, workbook
from tests.tui.support import play, until_seen
from tui.screens.importing import FIELDS, Import, ImportScreen
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
        await until_seen(pilot, say("formats", "csv") + " · ", 600)
        screen.query_one("#format", Select).value = "text"
        await until_seen(pilot, say("formats", "text") + " · ", 600)
        assert not screen.query_one("#import", Button).disabled
        screen.query_one("#import", Button).press()
        await pilot.pause()

    play(Home(tmp_path / "home"), story, (100, 40))
    assert decided[0] is not None
    assert decided[0].choices["format"] == "text"


def test_columns_of_a_spreadsheet_are_chosen_by_keys_alone(tmp_path: Path) -> None:
    """At 80×24 every column can be chosen, the place stays while the file is looked at again, and the buttons are in sight."""
    file = tmp_path / "台账.xlsx"
    rows: list[tuple[Cell, ...]] = [("编号", "来电内容", "处理意见"), (1, "路口红灯太长怎么办？", "已转信号科核查配时。")]
    file.write_bytes(workbook(("一月", rows), ("说明", [("本表由指挥中心填写",)])))
    decided: list[Import | None] = []

    async def story(pilot: Pilot[Any]) -> None:
        screen = ImportScreen(file)
        await pilot.app.push_screen(screen, decided.append)
        shown = await until_seen(pilot, t("data.choose_columns")[:12], 600)
        assert all(t(f"data.field_{one}") in shown for one in FIELDS)
        for one, moves in (("instruction", 2), ("output", 3)):
            screen.query_one(f"#column-{one}", Select).focus()
            await pilot.press("enter", *["down"] * moves, "enter")
        shown = await until_seen(pilot, "已转信号科核查配时", 600)  # both choices are taken up
        assert say("formats", "spreadsheet") + " · " in shown
        assert t("data.import_it") in "".join(shown.splitlines()[-4:])
        assert screen.query_one("#column-output", Select).has_focus
        assert "本表由指挥中心填写" in screen._offered
        await pilot.press("tab", "tab", "tab", "tab", "enter")
        await pilot.pause()

    play(Home(tmp_path / "home"), story)
    assert [one.choices["columns"] for one in decided if one] == [{"instruction": "来电内容", "output": "处理意见"}]


def test_a_wrong_encoding_leaves_nothing_behind(tmp_path: Path) -> None:
    """Columns chosen from the nonsense of a wrong encoding are forgotten with it; the right encoding offers the right ones."""
    file = tmp_path / "来电.csv"
    file.write_bytes("甲,乙,丙\n路口红灯太长怎么办？,已转信号科核查配时。,无\n".encode("gb18030"))

    async def story(pilot: Pilot[Any]) -> None:
        screen = ImportScreen(file)
        await pilot.app.push_screen(screen)
        await until_seen(pilot, "甲, 乙", 600)
        encoding, question = screen.query_one("#encoding", Select), screen.query_one("#column-instruction", Select)
        encoding.value = "big5"
        await until_seen(pilot, "樅", 600)
        question.value = screen._offered[0]
        await pilot.pause()
        encoding.value = "gb18030"
        await until_seen(pilot, "甲, 乙", 600)
        assert screen._offered[0] == "甲"
        assert not isinstance(question.value, str)

    play(Home(tmp_path / "home"), story)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_form_of_file_has_its_words(language: Language) -> None:
    """Nobody reads an importer's name on the screen."""
    assert set(catalogue(language)["formats"]) == {importer.name for importer in IMPORTERS} | {"zip"}
