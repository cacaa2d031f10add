"""Long names on narrow screens, and what to do next on small ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from rich.cells import cell_len
from textual.pilot import Pilot

from appliance.domain.home import Home
from appliance.store.store import Store
from scripts.screens.sample_home import add_dataset, add_model, add_run, rows_of
from tests.tui.support import play, seen, until_seen
from tui.widgets.fitting import fitted, shortened
from tui.words import t

LONG = "群众来电台账-二零二六年第一季度-城东大队-clean-redacted-train"


@pytest.mark.parametrize("cells", range(3, 70))
def test_a_shortened_name_has_its_beginning_and_its_end(cells: int) -> None:
    """However wide the characters are, it fits, and a name that fits is whole."""
    short = shortened(LONG, cells)
    assert cell_len(short) <= cells
    assert (short == LONG) == (cell_len(LONG) <= cells)
    begin, _, end = short.partition("…")
    assert LONG.startswith(begin)
    assert LONG.endswith(end)


def test_only_the_name_gives_way() -> None:
    """Everything beside it stays as it is, and the whole row fits."""
    (row,) = fitted([("done", LONG, "11-22 03:09")], ("state", "name", "time"), 1, 60)
    assert (row[0], row[2]) == ("done", "11-22 03:09")
    assert sum(cell_len(cell) + 2 for cell in row) <= 56
    assert fitted([], ("state", "name"), 1, 60) == []


@pytest.mark.parametrize(("place", "last"), [("f3", "data.created"), ("f5", "runs.took"), ("f6", "models.created")])
def test_the_last_column_is_in_sight_beside_long_names(tmp_path: Path, place: str, last: str) -> None:
    """At 80 columns nothing is pushed off the screen; the name is whole below the table, and in the table where there is room."""
    add_dataset(tmp_path, LONG, rows_of(3))
    add_model(tmp_path, LONG, "adapter", validation_loss=0.1, exam_accuracy=0.9)
    add_run(tmp_path, LONG, "done")

    async def story(pilot: Pilot[Any]) -> None:
        await pilot.press(place)
        shown = await until_seen(pilot, "…")
        assert t(last) in shown
        assert "01-01 " in shown
        assert LONG in shown
        await pilot.resize_terminal(160, 40)
        await pilot.pause(0.3)
        assert seen(pilot.app).count(LONG) >= 2

    play(Home(tmp_path), story)


def test_a_model_that_was_not_examined_shows_the_loss_of_its_training(tmp_path: Path) -> None:
    """The validation loss that a training measured stands in the table until an examination gives another."""
    model = add_model(tmp_path, "police-2", "adapter")
    store = Store(tmp_path)
    store.models.add(msgspec.structs.replace(model, id="model-3", name="police-3", facts={"validation_loss": 0.0314}))
    store.close()

    async def story(pilot: Pilot[Any]) -> None:
        await pilot.press("f6")
        await until_seen(pilot, "0.031")

    play(Home(tmp_path), story)


def test_what_to_do_next_is_in_sight_on_the_smallest_screen(tmp_path: Path) -> None:
    """At 60×15 every next step of an empty home can be read without scrolling."""

    async def story(pilot: Pilot[Any]) -> None:
        shown = await until_seen(pilot, t("home.next_demo"))
        assert t("home.next_import_records") in shown
        assert t("home.next_help") in shown

    play(Home(tmp_path), story, (60, 15))
