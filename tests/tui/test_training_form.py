"""The form of a training: what nobody has changed in it follows the preset, the method and the machine."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from textual.pilot import Pilot
from textual.widgets import Button, Input, Select

from appliance import demo
from appliance.domain.families import family_of
from appliance.domain.home import Home
from appliance.domain.memory import Load, Room, shape_of
from appliance.domain.plan import RowFacts, TrainingPlan, plan_training
from appliance.domain.recipe import Recipe
from appliance.files.base_screening import read_json_object
from appliance.services.models import ModelService
from appliance.services.plans import PlanService
from appliance.services.redaction import RedactionService
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
    """Write or choose another value in the form, once it is there and to be seen."""
    if not screen.query_one("#expert").display:
        screen.action_expert()
    await until(pilot, lambda: not field(screen, "method").query_one(Select).is_blank())
    one = field(screen, name).query_one("Select, Input")
    assert isinstance(one, Select | Input)
    one.value = value


async def first_plan(pilot: Pilot[Any], preset: str) -> TrainScreen:
    """Choose the base, the rows and a preset; the screen with its first plan."""
    await pilot.press("f4")
    for shown in ("teach", "rows", t(f"train.preset_{preset}")):
        await until_seen(pilot, shown)
        await pilot.press(*(["down"] if shown == t("train.preset_thorough") else []), "enter")
    await until_seen(pilot, t("train.fits"))
    screen = pilot.app.screen
    assert isinstance(screen, TrainScreen)
    await until(pilot, lambda: bool(screen.query(RecipeField)))
    return screen


async def plan_again(pilot: Pilot[Any], screen: TrainScreen) -> Recipe:
    """Plan with the form as it is now; the recipe that is in it afterwards."""
    before = screen.plan
    screen.action_expert()
    await until(pilot, lambda: screen.plan is not None and screen.plan is not before)
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


class Gate:
    """Holds a service's answer back while it is shut, and tells that somebody waits."""

    def __init__(self, answer: Callable[..., Any]) -> None:
        self._answer = answer
        self.waiting = threading.Event()
        self.open = threading.Event()
        self.open.set()

    def method(self) -> Callable[..., Any]:
        """To be put in the place of the method."""

        def gated(*arguments: Any, **options: Any) -> Any:
            self.waiting.set()
            assert self.open.wait(30)
            return self._answer(*arguments, **options)

        return gated

    def shut(self) -> None:
        """Hold the next answers back."""
        self.waiting.clear()
        self.open.clear()


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[Recipe]:
    """The recipes of the trainings that were started; none goes on."""
    recipes: list[Recipe] = []

    def start(_service: ModelService, choice: TrainingChoice, _name: str) -> None:
        recipes.append(choice.recipe)

    monkeypatch.setattr(ModelService, "start_training", start)
    return recipes


@pytest.fixture
def plans(home: Home, monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    """A gate before the plans."""
    gate = Gate(planned)
    monkeypatch.setattr(PlanService, "plan", gate.method())
    yield gate
    gate.open.set()


async def changed_back(pilot: Pilot[Any], screen: TrainScreen, plans: Gate) -> None:
    """While the plan for another method is made, the method is set back and another field is changed."""
    plans.shut()
    screen.action_expert()
    await until(pilot, plans.waiting.is_set)
    await changed(pilot, screen, "method", "qlora")
    await changed(pilot, screen, "rank", "64")
    plans.open.set()
    await until(pilot, lambda: screen.plan is not None and not screen.query_one("#start", Button).disabled)
    await pilot.pause(0.2)


def test_nothing_starts_while_a_plan_is_made(home: Home, plans: Gate, started: list[Recipe]) -> None:
    """Neither Start nor Enter goes by the plan before the last change; what starts after the plan has the change."""

    async def story(pilot: Pilot[Any]) -> None:
        screen = await first_plan(pilot, "standard")
        start = screen.query_one("#start", Button)
        await changed(pilot, screen, "rank", "64")
        plans.shut()
        screen.action_expert()
        await until(pilot, plans.waiting.is_set)
        assert start.disabled
        await screen.begin().wait()
        assert started == []
        plans.open.set()
        await until(pilot, lambda: not start.disabled)
        screen.begin()
        await until(pilot, lambda: bool(started))
        assert [one.training.rank for one in started] == [64]

    play(home, story, size=(120, 40))


def test_a_training_has_the_changes_made_before_it_starts(
    home: Home, plans: Gate, started: list[Recipe], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A change that was made and planned between Start and the starting itself, as while a question is answered, is trained."""
    privacy = Gate(RedactionService.state)
    monkeypatch.setattr(RedactionService, "state", privacy.method())

    async def story(pilot: Pilot[Any]) -> None:
        screen = await first_plan(pilot, "standard")
        await changed(pilot, screen, "rank", "64")
        privacy.shut()
        screen.begin()
        await until(pilot, privacy.waiting.is_set)
        assert (await plan_again(pilot, screen)).training.rank == 64
        privacy.open.set()
        await until(pilot, lambda: bool(started))
        assert [one.training.rank for one in started] == [64]

    try:
        play(home, story, size=(120, 40))
    finally:
        privacy.open.set()


def test_changes_made_while_a_plan_is_made_stay(home: Home, plans: Gate, started: list[Recipe]) -> None:
    """The form keeps what was written into it meanwhile, and takes back what was; both are trained."""

    async def story(pilot: Pilot[Any]) -> None:
        screen = await first_plan(pilot, "standard")
        await changed(pilot, screen, "method", "full")
        await changed_back(pilot, screen, plans)
        assert field(screen, "rank").value == "64"
        assert field(screen, "method").value == "qlora"
        screen.begin()
        await until(pilot, lambda: bool(started))
        assert [(one.training.method, one.training.rank) for one in started] == [("qlora", 64)]

    play(home, story, size=(120, 40))


def test_the_fields_stay_in_sight_when_the_plan_comes(home: Home, plans: Gate) -> None:
    """Fields that are looked at again while a plan is made are renewed in their place, with the focus in them and not in the name."""

    async def story(pilot: Pilot[Any]) -> None:
        screen = await first_plan(pilot, "standard")
        await changed(pilot, screen, "method", "full")
        plans.shut()
        screen.action_expert()
        await until(pilot, plans.waiting.is_set)
        screen.action_expert()
        before = field(screen, "learning_rate").value
        plans.open.set()
        await until(pilot, lambda: bool(screen.query(RecipeField)) and field(screen, "learning_rate").value not in ("", before))
        await until(pilot, lambda: screen.focused is not None and any(isinstance(one, RecipeField) for one in screen.focused.ancestors))
        assert screen.query_one("#expert").display

    play(home, story, size=(120, 40))


def test_the_rate_of_the_form_follows_the_method(home: Home, started: list[Recipe]) -> None:
    """Another method under "thorough" gets half of its usual rate, shown and started, until somebody writes another one."""

    async def story(pilot: Pilot[Any]) -> None:
        screen = await first_plan(pilot, "thorough")
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
