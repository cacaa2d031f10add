"""Home: the box, what goes on, what was made last, and what to do next."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from appliance.domain.dataset import Dataset
from appliance.domain.model import Model
from appliance.texts.speech import explain_check, say
from tui.follow import RunsSeen
from tui.keys import bindings
from tui.screens.place import PlaceScreen
from tui.widgets.plain import Plain, harmless
from tui.widgets.states import mark_of, mark_of_check, moment
from tui.widgets.steps import progress_line
from tui.words import t

if TYPE_CHECKING:  # the first picture does not wait for the services
    from appliance.services.workbench import Workbench

NEWEST = 5
LOOK_AT_BOX_EVERY = 5.0
"""Seconds; going to and fro between the places does not measure the box each time."""


class HomeScreen(PlaceScreen):
    """The first picture."""

    PLACE = "home"
    CSS_PATH = "home.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [*bindings("home")]

    def __init__(self) -> None:
        super().__init__()
        self._box_seen: float | None = None
        """When the box was looked at last, by the monotonic clock."""

    def compose_body(self) -> ComposeResult:
        """Four panels; what to do next is in sight on the smallest screen, too."""
        with VerticalScroll(classes="body"), Horizontal(id="columns"):
            with Vertical(id="left"):
                following = OptionList(id="next", markup=False, classes="panel")
                following.border_title = t("home.next_title")
                yield following
                yield _panel("going", t("home.nothing_runs"))
            with Vertical(id="right"):
                yield _panel("newest", t("home.no_models"))
                yield _panel("box", t("home.looking"))

    def on_mount(self) -> None:
        """Ask about the box and what there is."""
        super().on_mount()
        self.look()
        self.query_one("#next").focus()

    def freshen(self) -> None:
        """What there is may have changed while one was elsewhere."""
        self.look()

    @work(exclusive=True, group="home")
    async def look(self) -> None:
        """Ask the services and fill the panels."""
        there = await self.app.ask(_what_there_is)
        if there is not None:
            datasets, models, is_prepared = there
            self.query_one("#newest", Plain).show("\n".join(_model_line(model) for model in models[:NEWEST]) or t("home.no_models"))
            options = self.query_one("#next", OptionList)
            chosen = options.highlighted
            options.clear_options()
            options.add_options(
                [Option(t(f"home.next_{step}"), id=f"{place}-{step}") for step, place in _next_steps(datasets, models, is_prepared)]
            )
            options.highlighted = chosen or 0
        if self._box_seen is not None and time.monotonic() - self._box_seen < LOOK_AT_BOX_EVERY:
            return
        box = await self.app.ask(lambda workbench: list(_box_lines(workbench)), slowly=True)
        if box is not None:
            self._box_seen = time.monotonic()
            self.query_one("#box", Plain).show("\n".join(box))

    def show_runs(self, seen: RunsSeen) -> None:
        """The run that goes on, or how the newest one ended."""
        active = seen.active
        panel = self.query_one("#going", Plain)
        if active is not None:
            lines = f"{mark_of(active.run.state)} {harmless(active.run.name)}  {t('runs.state_' + active.run.state)}"
            panel.show(lines + (f"\n{progress_line(active.stage)}" if active.stage else ""))
        elif seen.runs:
            last = seen.runs[0].run
            panel.show(f"{mark_of(last.state)} {harmless(last.name)}  {t('runs.state_' + last.state)}  {moment(last.ended)}")

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Go where the next step is done."""
        place, _, step = str(event.option.id).partition("-")
        if step == "demo":
            self.action_demo()
        else:
            self.app.action_go(place)

    def action_demo(self) -> None:
        """Show the life of a model on the teaching base."""
        self.start_demo()

    @work(exclusive=True, group="demo")
    async def start_demo(self) -> None:
        """Start the demonstration and open its page."""
        from appliance.services.demo import start_demo
        from tui.screens.run import RunScreen

        run = await self.app.ask(start_demo, slowly=True)
        if run is not None:
            self.app.action_go("runs")
            await self.app.push_screen(RunScreen(run.id))


def _panel(name: str, text: str) -> Plain:
    panel = Plain(text, id=name, classes="panel")
    panel.border_title = t(f"home.{name}_title")
    return panel


def _what_there_is(workbench: Workbench) -> tuple[list[Dataset], list[Model], bool]:
    """Datasets and models, the newest first, and whether any dataset may be trained on."""
    datasets = sorted(workbench.datasets.all(), key=lambda one: -one.created)
    is_prepared = len(workbench.redaction.not_passed(datasets)) < len(datasets)
    return datasets, sorted(workbench.models.all(), key=lambda one: -one.created), is_prepared


def _next_steps(datasets: list[Dataset], models: list[Model], is_prepared: bool) -> Iterator[tuple[str, str]]:
    """Pairs of (step, place), the most sensible first."""
    kinds = {model.kind for model in models}
    if "gguf" in kinds:
        yield "chat", "chat"
    if "adapter" in kinds:
        yield "export", "models"
    if datasets and not is_prepared:
        yield "redact", "data"
    if "base" in kinds and is_prepared:
        yield "train", "train"
    if not datasets:
        yield "import_records", "data"
    if "base" not in kinds:
        yield "import_base", "models"
    if not models and not datasets:
        yield "demo", "home"
    yield "help", "help"


def _model_line(model: Model) -> str:
    return f"{harmless(model.name)}  {t('models.kind_' + model.kind)}  {moment(model.created)}"


def _box_lines(workbench: Workbench) -> Iterator[str]:
    from appliance.services.doctor import glance_at_box

    for check in glance_at_box(workbench.home):
        message, _ = explain_check(check.code, check.parameters)
        name = say("labels", f"check_name_{check.name}")
        yield f"{mark_of_check(check.state)} {name}: {message}"
