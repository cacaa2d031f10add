"""What somebody meets who uses the terminal UI for the first time: every screen says what to do next, and no key leads nowhere."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import DirectoryTree, Input, Select
from textual.widgets._toast import Toast
from textual_plotext import PlotextPlot

import tui
from appliance.domain.event import RecordedEvent, Started
from appliance.domain.home import Home
from appliance.domain.recipe import settings
from appliance.domain.run import StageRecord
from appliance.running.launch import claim_run
from appliance.texts.speech import LANGUAGES, catalogue, explain_code, say
from scripts.screens.sample_home import add_dataset, add_model, add_run, filled_home, rows_of
from tests.tui.support import play, seen, until_seen
from tui.command_keys import in_keys
from tui.follow import RunStory
from tui.screens.browse import BrowseScreen
from tui.screens.dataset import DatasetScreen
from tui.screens.importing import Import, ImportScreen
from tui.screens.recipe_dialog import RecipeDialog
from tui.screens.run import RunScreen
from tui.screens.trouble import TroubleScreen
from tui.widgets.recipe_form import RecipeField
from tui.widgets.yes_no import YesNo
from tui.words import t

SCREENS = Path(tui.__file__).parent / "screens"
CALLS = "问题,回答\n路口红灯太长怎么办？,已转信号科核查配时。\n"


@pytest.mark.parametrize("sheet", sorted(path.name for path in SCREENS.glob("*.tcss") if path.name != "dialogs.tcss"))
def test_a_screens_style_names_its_screen(sheet: str) -> None:
    """Textual applies a style to every screen from the moment one has used it, so each rule says whose it is."""
    module = (SCREENS / sheet).with_suffix(".py").read_text("utf-8")
    owner = re.search(r"class (\w+)\(.*Screen.*\):", module)
    assert owner is not None
    rules = re.sub(r"/\*.*?\*/", "", (SCREENS / sheet).read_text("utf-8"), flags=re.DOTALL)
    selectors = [one.strip() for rule in re.findall(r"([^{}]+)\{[^{}]*\}", rules) for one in rule.split(",")]
    assert selectors
    assert [one for one in selectors if not re.match(rf"{owner[1]}\b", one)] == []


def test_the_steps_of_training_are_read_after_a_runs_page_was_open(tmp_path: Path) -> None:
    """What one screen looks like does not depend on which were visited before it."""
    add_run(tmp_path, "over", "done")

    async def story(pilot: Pilot[Any]) -> None:
        await pilot.app.push_screen(RunScreen("run-over"))
        await until_seen(pilot, t("run.done_trained")[:6])
        await pilot.press("f7")
        await pilot.press("f4")
        assert f"○ 4 {t('train.step_check')}" in await until_seen(pilot, f"● 1 {t('train.step_base')}")
        await pilot.press("f2")
        await pilot.app.push_screen(RunScreen("run-over"))
        await until_seen(pilot, "· 训练")

    play(Home(tmp_path), story)


def test_what_is_about_to_go_is_not_said_again_on_another_screen(tmp_path: Path) -> None:
    """A notification whose time ends while it is being put on a screen would stop the event loop for good."""

    async def story(pilot: Pilot[Any]) -> None:
        pilot.app.notify("soon gone", timeout=0.45)
        pilot.app.notify("stays", timeout=30)
        await pilot.press("f3")
        await pilot.pause()
        await pilot.pause()
        assert [toast._notification.message for toast in pilot.app.screen.query(Toast)] == ["stays"]

    play(Home(tmp_path), story)


def test_the_key_of_a_place_leads_back_from_the_pages_opened_there(tmp_path: Path) -> None:
    """After an import the run's page stands over the datasets: their key shows them; a dialog with what was typed into it stays."""

    async def story(pilot: Pilot[Any]) -> None:
        await pilot.press("f3")
        await until_seen(pilot, t("data.created"))
        await pilot.app.push_screen(RunScreen("run-done-one"))
        await pilot.press("f1")
        await until_seen(pilot, t("help.keys_here"))
        await pilot.press("f3")
        await until_seen(pilot, t("data.created"))
        await pilot.app.push_screen(RecipeDialog("x", "name", ("split",)))
        await pilot.press("f3")
        assert isinstance(pilot.app.screen, RecipeDialog)

    play(filled_home(tmp_path), story)


def test_a_run_that_is_over_says_what_was_made_and_offers_no_dead_keys(tmp_path: Path) -> None:
    """Done: the next place and key, no empty plot, nothing to cancel or resume; while it goes on it can be cancelled only."""
    home = Home(tmp_path)
    add_run(tmp_path, "over", "done", ("redact",))
    run = add_run(tmp_path, "alive", "running", ("train",))

    async def story(pilot: Pilot[Any]) -> None:
        await pilot.app.push_screen(RunScreen("run-over"))
        shown = await until_seen(pilot, "F4")
        assert t("keys.cancel_run") not in shown
        assert t("keys.resume_run") not in shown
        assert t("keys.next_curve") not in shown
        assert not pilot.app.screen.query_one(PlotextPlot).display
        await pilot.press("escape")
        await pilot.app.push_screen(RunScreen(run.id))
        shown = await until_seen(pilot, t("keys.cancel_run"))
        assert t("keys.resume_run") not in shown

    with claim_run(home, run.id):
        play(home, story)


@pytest.mark.parametrize("language", LANGUAGES)
def test_sentences_name_keys_instead_of_commands(monkeypatch: pytest.MonkeyPatch, language: str) -> None:
    """Whoever sits in front of the UI is not sent to a command line for what a key does; the check has its own key."""
    monkeypatch.setenv("GREENWAVE_LANG", language)
    assert (
        in_keys("greenwave runs resume run-1") == t("commands.in_keys", keys=f"F5 {t('keys.runs')} → r {t('keys.resume_run')}") + " run-1"
    )
    assert f"k {t('keys.check')}" in in_keys("greenwave datasets redact calls --check")
    assert in_keys("greenwave models list --json.") == t("commands.in_keys", keys=f"F6 {t('keys.models')}") + "."
    assert in_keys("greenwave doctor") == "greenwave doctor"
    assert in_keys("--encoding, --type-of") == t("commands.in_keys", keys=t("data.encoding")) + ", --type-of"
    assert in_keys("greenwave trains nothing") == "greenwave trains nothing"
    typed = "greenwave models import '/a b' --name NAME --chat-template auto"
    assert in_keys(f"greenwave models list: {typed}, --name") == f"{in_keys('greenwave models list')}: {typed}, {in_keys('--name')}"


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("path", ["/root/.local/share/greenwave/models/base", "/a b/greenwave models list/x", "/it's/greenwave train"])
def test_a_path_changes_no_command_without_a_key(path: str, language: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A command whose option no form has is said whole wherever the model lies, also in the default home; others beside it become keys."""
    monkeypatch.setenv("GREENWAVE_LANG", language)
    hint = explain_code("chat_template_missing", {"path": shlex.quote(path)})[1]
    assert shlex.quote(path) in hint
    assert in_keys(hint) == hint
    offered = say("notices", "template_offered", template="chatml", path=shlex.quote(path))
    listed = "greenwave models list"
    assert in_keys(f"{listed}; {offered}; {listed}") == f"{in_keys(listed)}; {offered}; {in_keys(listed)}"


def test_an_error_on_the_screen_names_the_key(tmp_path: Path) -> None:
    """A hint that says ``greenwave models list`` on the command line says F6 here."""
    from appliance.domain.errors import ApplianceError

    async def story(pilot: Pilot[Any]) -> None:
        pilot.app.push_screen(TroubleScreen(ApplianceError("model_unknown", name="x")))
        shown = await until_seen(pilot, t("dialog.understood"))
        assert t("commands.in_keys", keys=f"F6 {t('keys.models')}") in shown
        assert "greenwave" not in shown

    play(Home(tmp_path), story)


def test_yes_and_no_are_words_and_need_no_colour(tmp_path: Path) -> None:
    """A switch is one line, says its state and its default as words, and Space changes both value and word."""

    async def story(pilot: Pilot[Any]) -> None:
        dialog = RecipeDialog("x", "name", ("cleaning",))
        await pilot.app.push_screen(dialog)
        shown = await until_seen(pilot, t("form.default", value=t("form.yes")))
        assert "True" not in shown
        assert f"▐X▌ {t('form.yes')}" in shown
        switch = dialog.query(YesNo).first()
        assert switch.size.height == 1
        switch.focus()
        await pilot.press("space")
        assert f"▐ ▌ {t('form.no')}" in await until_seen(pilot, t("form.no"))
        assert dialog.query(RecipeField).first().value == "false"
        near = next(one for one in dialog.query(RecipeField) if one.setting.key == "cleaning.near_duplicates")
        assert near.value == "off"
        assert "off (" in near.explanation

    play(Home(tmp_path), story)


@pytest.mark.parametrize("language", LANGUAGES)
def test_choices_that_are_words_are_said_in_the_language(language: Any) -> None:
    """Every choice of a field has its words, but for the names of methods and types; no words are there for what is no choice."""
    choices = {one.key: one.choices for one in settings() if one.kind == "choice" or one.key == "training.targets"}
    said = catalogue(language)["choices"]
    assert set(choices) - set(said) == {"training.method", "export.type"}
    for key, words in said.items():
        assert set(words) <= set(choices[key]), key
        if key not in ("training.targets", "training.arithmetic"):
            assert set(words) == set(choices[key])


def test_a_form_is_begun_from_a_small_terminal(tmp_path: Path) -> None:
    """On 60×15 the buttons are in sight, with the keys that lead to them; Enter in the name begins."""
    decided: list[Any] = []

    async def story(pilot: Pilot[Any]) -> None:
        await pilot.app.push_screen(RecipeDialog("x", "name", ("cleaning",)), decided.append)
        assert t("dialog.start") in await until_seen(pilot, "Tab")
        pilot.app.screen.query_one("#name", Input).focus()
        await pilot.press("enter")
        await pilot.pause(0.2)

    play(Home(tmp_path), story, (60, 15))
    assert decided[0].name == "name"


def test_a_typed_folder_is_gone_to_and_a_file_in_it_imported_by_enter(tmp_path: Path) -> None:
    """A folder is no dead end: its files are shown; once the file is recognised, Enter in its name imports it."""
    folder = tmp_path / "usb"
    folder.mkdir()
    (folder / "来电.csv").write_text(CALLS, "utf-8")
    chosen: list[Path | None] = []
    decided: list[Import | None] = []

    async def story(pilot: Pilot[Any]) -> None:
        browse = BrowseScreen("x")
        await pilot.app.push_screen(browse, chosen.append)
        browse.query_one("#path", Input).value = str(folder)
        browse.query_one("#path", Input).focus()
        await pilot.press("enter")
        await until_seen(pilot, "来电.csv")
        assert browse.query_one(DirectoryTree).has_focus
        await pilot.press("escape")
        screen = ImportScreen(folder / "来电.csv")
        await pilot.app.push_screen(screen, decided.append)
        assert screen.query_one("#name", Input).has_focus
        assert t("data.auto") in seen(pilot.app)
        await until_seen(pilot, "已转信号科核查配时", 600)
        await pilot.press("enter")
        await pilot.pause()

    play(Home(tmp_path / "home"), story)
    assert chosen == [None]
    assert [one.name for one in decided if one] == ["来电"]


def test_tokens_without_a_base_say_where_one_comes_from(tmp_path: Path) -> None:
    """No error about a model without a name: the place and the key are told where the tokens would be."""
    dataset = add_dataset(tmp_path, "rows", rows_of(3))

    async def story(pilot: Pilot[Any]) -> None:
        await pilot.app.push_screen(DatasetScreen(dataset))
        await until_seen(pilot, "第1号路口")
        await pilot.press("t")
        await until_seen(pilot, "F6")
        assert not isinstance(pilot.app.screen, TroubleScreen)

    play(Home(tmp_path), story)


def test_a_model_that_an_export_makes_is_offered_to_whoever_waits_in_chat(tmp_path: Path) -> None:
    """The list of models is looked at again when a run ends, without leaving the place."""

    async def story(pilot: Pilot[Any]) -> None:
        await pilot.press("f7")
        await until_seen(pilot, t("chat.nothing_to_ask")[:8])
        add_model(tmp_path, "new-q4", "gguf")
        add_run(tmp_path, "export-new", "done", ("export",))
        await until_seen(pilot, "new-q4")
        assert pilot.app.screen.query_one("#model-0", Select).value == "new-q4"

    play(Home(tmp_path), story)


def test_home_says_that_data_has_to_be_redacted_before_training(tmp_path: Path) -> None:
    """With a base and records that nobody has redacted, the next step is not training."""
    add_dataset(tmp_path, "raw", rows_of(3))
    add_model(tmp_path, "base", "base")

    async def story(pilot: Pilot[Any]) -> None:
        shown = await until_seen(pilot, t("home.next_redact"))
        assert t("home.next_train") not in shown
        await pilot.press("f4")
        await until_seen(pilot, "base")
        await pilot.press("enter")
        await until_seen(pilot, t("data.not_passed"))

    play(Home(tmp_path), story)


@pytest.mark.parametrize(("place", "only"), [("f3", "import_file"), ("f6", "import_model")])
def test_an_empty_list_offers_the_key_that_fills_it(tmp_path: Path, place: str, only: str) -> None:
    """Where there is nothing yet, no key is offered that needs something; with the first row they come."""

    async def story(pilot: Pilot[Any]) -> None:
        await pilot.press(place)
        await pilot.pause(0.3)
        shown = seen(pilot.app)
        assert t(f"keys.{only}") in shown
        assert t("keys.remove") not in shown
        add_dataset(tmp_path, "first", rows_of(3))
        add_model(tmp_path, "first", "base")
        await pilot.press("f2", place)
        await until_seen(pilot, t("keys.remove"))

    play(Home(tmp_path), story)


def test_the_wizard_offers_first_what_may_be_trained_on(tmp_path: Path) -> None:
    """A newer dataset that nobody has redacted does not stand before the one that is ready."""
    add_dataset(tmp_path, "ready", rows_of(3), redacted=True)
    add_dataset(tmp_path, "raw", rows_of(3))
    add_model(tmp_path, "base", "base")

    async def story(pilot: Pilot[Any]) -> None:
        await pilot.press("f4")
        await until_seen(pilot, "base")
        await pilot.press("enter")
        shown = await until_seen(pilot, t("data.not_passed"))
        assert shown.index("ready  ") < shown.index("raw  ")

    play(Home(tmp_path), story)


def test_the_wizard_offers_only_keys_that_do_something(tmp_path: Path) -> None:
    """In the first step there is neither a way back nor a field to show."""

    async def story(pilot: Pilot[Any]) -> None:
        await pilot.press("f4")
        shown = await until_seen(pilot, t("train.ask_base"))
        assert t("keys.expert") not in shown
        assert t("keys.step_back") not in shown
        await pilot.press("enter")
        shown = await until_seen(pilot, t("train.ask_dataset"))
        assert t("keys.step_back") in await until_seen(pilot, t("keys.step_back"))
        assert t("keys.expert") not in shown

    play(filled_home(tmp_path), story)


def test_a_stage_that_is_loading_does_not_show_how_far_the_one_before_was(tmp_path: Path) -> None:
    """Between two stages the page says that one is starting, until it tells how far it is."""
    run = add_run(tmp_path, "alive", "running", ("split", "train"))
    split = StageRecord(run_id=run.id, position=0, stage="split", state="done", started=1.0, ended=2.0)
    train = StageRecord(run_id=run.id, position=1, stage="train", state="running", started=2.0)

    def recorded(number: int, position: int, what: str) -> RecordedEvent:
        return RecordedEvent(id=number, run_id=run.id, position=position, at=1.0, event=Started(total=8, unit="rows", what=what))

    async def story(pilot: Pilot[Any]) -> None:
        screen = RunScreen(run.id)
        await pilot.app.push_screen(screen)
        await until_seen(pilot, "alive")
        screen.on_run_story(RunStory(run, (split, train), [recorded(1, 0, "split")]))
        await until_seen(pilot, t("run.starting")[:5])
        screen.on_run_story(RunStory(run, (split, train), [recorded(2, 1, "training")]))
        await pilot.pause()
        assert t("run.starting")[:5] not in seen(pilot.app)

    with claim_run(Home(tmp_path), run.id):
        play(Home(tmp_path), story)
