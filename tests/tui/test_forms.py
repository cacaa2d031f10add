"""Forms made from the recipe: every field with its range, all mistakes at once, nothing lost by them; the review of uncertain finds."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

from textual.pilot import Pilot
from textual.widgets import Button, DataTable, Input

from appliance.domain.dataset import Dataset
from appliance.domain.home import Home
from appliance.domain.recipe import RedactionRecipe, settings
from appliance.services.workbench import Workbench
from scripts.screens.sample_home import filled_home
from tests.tui.support import play, seen, until_seen
from tui.screens.recipe_dialog import RecipeDialog
from tui.screens.review import ReviewScreen
from tui.screens.trouble import TroubleScreen
from tui.widgets.recipe_form import RecipeField, label_of
from tui.words import t


def test_every_field_of_training_is_in_the_form_with_its_words(tmp_path: Path) -> None:
    """One declaration gives the field: label, range, default; F1 tells what it does and why its default is what it is."""
    expected = [one.key for one in settings() if one.key.startswith("training.")]

    async def story(pilot: Pilot[Any]) -> None:
        await pilot.app.push_screen(RecipeDialog("x", "name", ("training",)))
        await pilot.pause()
        fields = list(pilot.app.screen.query(RecipeField))
        assert [field.setting.key for field in fields] == expected
        rank = next(field for field in fields if field.setting.key == "training.rank")
        rank.query_one(Input).focus()
        await pilot.press("f1")
        shown = await until_seen(pilot, t("help.this_field"))
        assert label_of("training.rank") in shown
        assert "1 – 1024" in shown

    play(filled_home(tmp_path), story, (120, 40))


def test_a_field_that_is_not_yet_on_the_screen_has_the_value_it_will_show() -> None:
    """Whoever asks while a form is being put on the screen gets an answer: nothing was changed in it."""
    fields = [RecipeField(setting, setting.default) for setting in settings()]
    assert [field.setting.key for field in fields if field.changed] == []
    rank = next(field for field in fields if field.setting.key == "training.rank")
    assert rank.value == str(rank.setting.default)


def test_all_mistakes_are_told_at_once_and_the_form_keeps_what_was_typed(tmp_path: Path) -> None:
    """Two wrong fields give one message with both; closing it leads back to the form as it was."""

    async def story(pilot: Pilot[Any]) -> None:
        dialog = RecipeDialog("x", "name", ("training",))
        await pilot.app.push_screen(dialog)
        await pilot.pause()
        for key, typed in (("training.rank", "abc"), ("training.dropout", "7")):
            next(field for field in dialog.query(RecipeField) if field.setting.key == key).query_one(Input).value = typed
        dialog.query_one("#start", Button).press()
        shown = await until_seen(pilot, "training.rank")
        assert "training.dropout" in shown
        assert isinstance(pilot.app.screen, TroubleScreen)
        await pilot.press("escape")
        assert "training.rank=abc" in [f"{field.setting.key}={field.value}" for field in dialog.query(RecipeField)]

    play(filled_home(tmp_path), story, (120, 40))


def test_uncertain_finds_are_decided_one_by_one_and_applied(tmp_path: Path) -> None:
    """Single keys replace, keep and take back; leaving asks; applying them is a run that redacts anew with the same recipe."""
    home = Home(tmp_path)
    source = tmp_path / "rows.jsonl"
    rows = [
        {"instruction": "转账到哪里？", "output": "转到4111111111111111。"},
        {"instruction": "限速是多少？", "output": "每小时60公里。"},
    ]
    source.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    workbench = Workbench(home)
    workbench.runs.wait(workbench.datasets.start_import(source, "calls").id)
    workbench.runs.wait(workbench.redaction.start_redaction("calls", None, RedactionRecipe(uncertain="review", addresses="all")).id)
    uncertain = list(workbench.redaction.review("calls-redacted"))
    dataset = workbench.datasets.get("calls-redacted")
    workbench.close()
    assert uncertain, "the rows above hold something uncertain"

    async def story(pilot: Pilot[Any]) -> None:
        await pilot.press("f3")
        await until_seen(pilot, "calls-redacted")
        await pilot.app.push_screen(ReviewScreen(dataset))
        assert f"⟦{uncertain[0].found}⟧" in await until_seen(pilot, t("review.place", place=1, count=len(uncertain), decided=0))
        await pilot.press("a")
        await until_seen(pilot, t("review.decide_first"))
        pilot.app.screen.query_one(DataTable).focus()
        await pilot.press("k")
        assert t("review.keep") in await until_seen(pilot, t("review.place", place=1, count=len(uncertain), decided=1))
        for leave in ("escape", "f3"):
            await pilot.press(leave)
            await until_seen(pilot, t("review.leave_question"))
            await pilot.press("enter")
        await pilot.press("u")
        await until_seen(pilot, t("review.place", place=1, count=len(uncertain), decided=0))
        await pilot.press("k", "a")
        await until_seen(pilot, "redact-calls-redacted-2", 400)
        assert not isinstance(pilot.app.screen, TroubleScreen), seen(pilot.app)
        run = pilot.app.screen.run_id  # type: ignore[attr-defined]  # of the run's page
        decided = await asyncio.to_thread(_once_done, home, run)
        assert decided.facts["recipe"]["addresses"] == "all"
        assert decided.facts["redaction"]["kinds"]["bank_card"]["kept"] == 1
        await pilot.app.push_screen(ReviewScreen(decided))
        assert t("review.keep") in await until_seen(pilot, t("review.place", place=1, count=len(uncertain), decided=1))

    play(home, story, (120, 40))


def _once_done(home: Home, run_id: str) -> Dataset:
    workbench = Workbench(home)
    try:
        assert workbench.runs.wait(run_id).state == "done"
        return workbench.datasets.get("calls-redacted-2")
    finally:
        workbench.close()
