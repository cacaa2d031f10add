"""The form of a training: what nobody has changed in it follows the preset, the method and the machine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from textual.pilot import Pilot
from textual.widgets import Input, Select

from appliance import demo
from appliance.domain.families import family_of
from appliance.domain.home import Home
from appliance.domain.memory import Load, Room, shape_of
from appliance.domain.plan import RowFacts, TrainingPlan, plan_training
from appliance.domain.recipe import Recipe
from appliance.files.base_screening import read_json_object
from appliance.services.models import ModelService
from appliance.services.plans import PlanService
from appliance.services.training_choice import TrainingChoice
from appliance.store.store import Store
from scripts.screens.sample_home import add_dataset, add_model, rows_of
from tests.tui.support import play, seen, until_seen
from tui.screens.train import TrainScreen
from tui.widgets.recipe_form import RecipeField
from tui.words import t


def planned(_service: PlanService, choice: TrainingChoice, **_beside: object) -> TrainingPlan:
    """A plan by formula, of rows that need not be read."""
    config = read_json_object(demo.base_folder() / "config.json")
    load = Load(tokens=64, trained=32, longest=64)
    rows = RowFacts(
        rows=3, too_long=0, untrained=0, tokens=192, trained_tokens=96, longest=64, histogram=(), tokens_per_step=192, steps=3, load=load
    )
    room = Room(kind="cpu", name="CPU", free=1 << 40, total=1 << 40)
    return plan_training(shape_of(family_of(config), config), family_of(config), choice.recipe.training, room, rows)


async def until(pilot: Pilot[Any], is_so: Callable[[], bool]) -> None:
    """Wait for what happens beside the screen, and for the screen after it."""
    for _ in range(200):
        await pilot.pause(0.05)
        if is_so():
            await pilot.pause()
            return
    raise AssertionError(seen(pilot.app))


def field(screen: TrainScreen, name: str) -> RecipeField:
    """One of the form's fields."""
    return next(one for one in screen.query(RecipeField) if one.setting.key == f"training.{name}")


async def changed(pilot: Pilot[Any], screen: TrainScreen, name: str, value: str) -> None:
    """Write or choose another value in the form, once it is there."""
    screen.action_expert()
    await until(pilot, lambda: not field(screen, "method").query_one(Select).is_blank())
    one = field(screen, name).query_one("Select, Input")
    assert isinstance(one, Select | Input)
    one.value = value


async def plan_again(pilot: Pilot[Any], screen: TrainScreen) -> Recipe:
    """Plan with the form as it is now; the recipe that is in it afterwards."""
    before = screen.plan
    screen.action_expert()
    await until(pilot, lambda: screen.plan is not before)
    assert screen.recipe is not None
    rate = f"{screen.recipe.training.learning_rate:g}"
    await until(pilot, lambda: len(screen.query(RecipeField)) > 0 and field(screen, "learning_rate").value == rate)
    return screen.recipe


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A home with the teaching base and a dataset, where plans need no reading."""
    monkeypatch.setattr(PlanService, "plan", planned)
    add_dataset(tmp_path, "rows", rows_of(3), redacted=True)
    model = add_model(tmp_path, "base", "base")
    store = Store(tmp_path)
    store.models.add(msgspec.structs.replace(model, id="model-teach", name="teach", path=str(demo.base_folder())))
    store.models.remove(model.id)
    store.close()
    return Home(tmp_path)


def test_the_rate_of_the_form_follows_the_method(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another method under "thorough" gets half of its usual rate, shown and started, until somebody writes another one."""
    started: list[Recipe] = []
    monkeypatch.setattr(ModelService, "start_training", lambda _service, choice, _name: started.append(choice.recipe))

    async def story(pilot: Pilot[Any]) -> None:
        await pilot.press("f4")
        for shown in ("teach", "rows", t("train.preset_thorough")):
            await until_seen(pilot, shown)
            await pilot.press(*(["down"] if shown == t("train.preset_thorough") else []), "enter")
        await until_seen(pilot, t("train.fits"))
        screen = pilot.app.screen
        assert isinstance(screen, TrainScreen)
        assert screen.recipe is not None
        assert (screen.recipe.training.method, screen.recipe.training.learning_rate) == ("qlora", 1e-4)
        await changed(pilot, screen, "method", "full")
        found = await plan_again(pilot, screen)
        assert (found.training.method, found.training.learning_rate, found.training.rank) == ("full", 1e-5, 32)
        await changed(pilot, screen, "learning_rate", "3e-5")
        assert (await plan_again(pilot, screen)).training.learning_rate == 3e-5
        await changed(pilot, screen, "method", "dora")
        screen.begin()
        await until(pilot, lambda: bool(started))
        assert [(one.training.method, one.training.learning_rate, one.training.rank) for one in started] == [("dora", 3e-5, 32)]

    play(home, story, size=(120, 40))
