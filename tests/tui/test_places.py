"""Every place, by its keys, in both languages and several sizes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from textual.app import App
from textual.pilot import Pilot

from appliance.running.launch import claim_run
from scripts.screens.sample_home import NOON, add_dataset, add_run, filled_home, rows_of, tell_of_training
from tests.tui.support import play, seen, until_seen
from tui.app import SCREENS_OF_PLACES
from tui.host import MASKED_SECONDS
from tui.keys import PLACES
from tui.screens.confirm import ConfirmScreen
from tui.screens.dataset import DatasetScreen
from tui.screens.run import RunScreen
from tui.screens.trouble import TroubleScreen
from tui.themes import THEME_NAMES
from tui.widgets.row_list import RowList
from tui.words import t


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (40, 12)])
@pytest.mark.parametrize("language", ["zh", "en"])
def test_every_place_is_one_key_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, language: str, size: tuple[int, int]) -> None:
    """Each place's key shows its screen with its name marked, in both languages, and the help closes again."""
    monkeypatch.setenv("GREENWAVE_LANG", language)

    async def story(pilot: Pilot[Any]) -> None:
        for place, key in PLACES:
            await pilot.press(key)
            await pilot.pause()
            if place == "help":
                assert t("help.glossary_title") in pilot.app.screen.query("Plain.title").last().render().plain  # type: ignore[union-attr]  # it is text
                await pilot.press("escape")
            else:
                assert pilot.app.current_mode == place
            assert not isinstance(pilot.app.screen, TroubleScreen)

    play(filled_home(tmp_path), story, size)


def test_a_place_is_drawn_without_a_pause(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Textual hides a change of place for a while, which a person would wait for; hardly any of it is left."""
    hidden: list[float] = []
    monkeypatch.setattr(App, "delay_update", lambda _, delay: hidden.append(delay))

    async def story(pilot: Pilot[Any]) -> None:
        hidden.clear()
        await pilot.press("f3", "f5")
        assert hidden == [MASKED_SECONDS] * 2

    play(filled_home(tmp_path), story)


def test_an_empty_home_says_what_to_do_first(tmp_path: Path) -> None:
    """Somebody who has nothing yet is led to import and to the demonstration."""

    async def story(pilot: Pilot[Any]) -> None:
        # What is asked of the home comes part by part.
        for expected in ("home.next_import_records", "home.next_demo", "home.no_models"):
            await until_seen(pilot, t(expected))

    from appliance.domain.home import Home

    play(Home(tmp_path), story, (100, 40))


def test_languages_and_themes_change_while_it_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One key speaks the other language on every place; another goes round the themes."""

    async def story(pilot: Pilot[Any]) -> None:
        await until_seen(pilot, "下一步")
        await pilot.press("f5", "f9")
        assert "demo" not in await until_seen(pilot, "interrupted")
        assert pilot.app.current_mode == "runs"
        await pilot.press("f9")
        await until_seen(pilot, "被中断")
        first = pilot.app.theme
        for expected in (*THEME_NAMES[THEME_NAMES.index(first) + 1 :], *THEME_NAMES[: THEME_NAMES.index(first) + 1]):
            await pilot.press("f10")
            assert pilot.app.theme == expected

    play(filled_home(tmp_path), story)


def test_a_runs_page_tells_its_story_and_comes_back(tmp_path: Path) -> None:
    """The page shows stages, figures and notices from the beginning, follows what comes, and shows all of it again when reopened."""
    home = filled_home(tmp_path)
    run = add_run(tmp_path, "alive", "running", ("clean", "train"))
    tell_of_training(tmp_path, run.id, 40)

    async def story(pilot: Pilot[Any]) -> None:
        for _ in range(2):
            await pilot.app.push_screen(RunScreen(run.id))
            shown = await until_seen(pilot, "0.1750")
            assert "alive" in shown
            assert "40%" in shown
            await pilot.press("escape")
            await pilot.pause()

    with claim_run(home, run.id):  # a run is alive while somebody holds its lock
        play(home, story)


def test_a_failed_run_says_why_and_what_to_press(tmp_path: Path) -> None:
    """Cause, hint, the last lines of the log and the key to go on are on the page."""

    async def story(pilot: Pilot[Any]) -> None:
        await pilot.app.push_screen(RunScreen("run-failed-one"))
        shown = await until_seen(pilot, "last words")
        assert t("dialog.hint") in shown
        assert t("run.press_resume") in shown

    play(filled_home(tmp_path), story)


def test_cancelling_asks_first_and_enter_in_haste_does_nothing(tmp_path: Path) -> None:
    """The harmless answer has the focus; the other one cancels."""
    home = filled_home(tmp_path)
    run = add_run(tmp_path, "waiting", "interrupted")

    async def story(pilot: Pilot[Any]) -> None:
        await pilot.app.push_screen(RunScreen(run.id))
        await until_seen(pilot, "waiting")
        await pilot.press("c")
        await pilot.pause()
        assert isinstance(pilot.app.screen, ConfirmScreen)
        await pilot.press("enter")
        await until_seen(pilot, t("runs.about_interrupted"))
        await pilot.press("c")
        await pilot.pause()
        await pilot.press("tab", "enter")
        await until_seen(pilot, t("runs.state_cancelled"))

    play(home, story)


def test_a_long_dataset_is_browsed_without_being_loaded(tmp_path: Path) -> None:
    """The last of many rows is one key away, and only the pages in sight were read."""
    home = filled_home(tmp_path)
    dataset = add_dataset(tmp_path, "long", rows_of(20_000))

    async def story(pilot: Pilot[Any]) -> None:
        screen = DatasetScreen(dataset)
        await pilot.app.push_screen(screen)
        await until_seen(pilot, "第1号路口")
        await pilot.press("end")
        await until_seen(pilot, "第20000号路口")
        await pilot.press("pageup", "up", "down")
        assert screen.query_one(RowList).cursor < 19_999
        assert len(screen._held) < 10

    play(home, story)


def test_rejected_rows_have_their_reasons(tmp_path: Path) -> None:
    """One key shows the rows that were not accepted, each with line and reason."""
    home = filled_home(tmp_path)

    async def story(pilot: Pilot[Any]) -> None:
        await pilot.press("f3")
        await until_seen(pilot, "records")
        await pilot.press("enter")
        await until_seen(pilot, "第1号路口")
        await pilot.press("r")
        shown = await until_seen(pilot, "问题没有答案")
        assert t("data.line", line=3) in shown

    play(home, story)


def test_what_is_still_needed_is_not_removed(tmp_path: Path) -> None:
    """Removing a base of an adapter shows what was made from it, and it stays; what nothing was made from is removed after a question."""

    async def story(pilot: Pilot[Any]) -> None:
        await pilot.press("f6")
        await until_seen(pilot, "police-1")
        names = [model.name for model, _ in pilot.app.screen.models]  # type: ignore[attr-defined]  # of the screen of models
        await pilot.press(*["down"] * names.index("base"), "delete")
        shown = await until_seen(pilot, t("models.still_needed", name="base"))
        assert shown.count("police-1-q4") >= 2
        await pilot.press("escape")
        await until_seen(pilot, t("models.kind_base"))
        await pilot.press("home", *["down"] * names.index("police-1-q4"), "delete")
        await until_seen(pilot, t("models.remove_consequence")[:10])
        await pilot.press("tab", "enter")
        for _ in range(100):
            await pilot.pause(0.05)
            if len(pilot.app.screen.models) == len(names) - 1:  # type: ignore[attr-defined]  # as above
                break
        assert "police-1-q4" not in [model.name for model, _ in pilot.app.screen.models]  # type: ignore[attr-defined]  # as above

    play(filled_home(tmp_path), story)


def test_a_key_never_does_something_to_another_row_than_the_chosen_one(tmp_path: Path) -> None:
    """What is new comes first and leaves the cursor where it was; whoever comes back from elsewhere finds it on what was made."""
    home = filled_home(tmp_path)
    add_dataset(tmp_path, "older", rows_of(3))

    async def story(pilot: Pilot[Any]) -> None:
        await pilot.press("f3")
        await until_seen(pilot, "records")
        screen: Any = pilot.app.screen
        names = [dataset.name for dataset in screen.datasets]
        await pilot.press("down")
        add_dataset(tmp_path, "newer", rows_of(3), created=NOON + 60)
        add_run(tmp_path, "mix-newer", "done", ("mix",))
        await until_seen(pilot, "newer")
        assert screen.chosen.name == names[1]
        await pilot.press("f2")
        add_dataset(tmp_path, "newest", rows_of(3), created=NOON + 120)
        await pilot.press("f3")
        await until_seen(pilot, "newest")
        assert screen.chosen.name == "newest"

    play(home, story)


def test_the_help_of_a_page_names_its_own_keys(tmp_path: Path) -> None:
    """F1 on a page that was opened from a place tells that page's keys."""

    async def story(pilot: Pilot[Any]) -> None:
        await pilot.press("f3")
        await until_seen(pilot, "records")
        await pilot.press("enter")
        await until_seen(pilot, t("keys.tokens"))
        await pilot.press("f1")
        shown = await until_seen(pilot, t("help.keys_here"))
        assert t("key_help.tokens")[:10] in shown
        assert t("key_help.mix")[:6] not in shown

    play(filled_home(tmp_path), story, (120, 40))


def test_every_mode_has_a_screen() -> None:
    """The table of places and the table of screens are about the same places."""
    assert set(SCREENS_OF_PLACES) | {"help"} == {place for place, _ in PLACES}


def test_seen_tells_what_is_there(tmp_path: Path) -> None:
    """The tests' own eyes see text and nothing but text."""

    async def story(pilot: Pilot[Any]) -> None:
        await until_seen(pilot, "F2 首页")
        assert "\x1b" not in seen(pilot.app)

    play(filled_home(tmp_path), story)
