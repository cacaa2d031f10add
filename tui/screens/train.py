"""Train: base, dataset, preset, check; then it begins."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.widgets import Button, ContentSwitcher, Input, OptionList
from textual.widgets.option_list import Option

from appliance.domain.event import Event, Notice
from appliance.domain.plan import TrainingPlan
from appliance.domain.preset_fitting import FittedPreset
from appliance.domain.recipe import Recipe, as_layer
from appliance.domain.run import Run
from appliance.services.recipes import named_layers
from appliance.services.training_choice import TrainingChoice
from appliance.services.workbench import Workbench
from appliance.texts.speech import say
from tui.keys import bindings
from tui.screens.confirm import ConfirmScreen
from tui.screens.place import PlaceScreen
from tui.screens.train_offers import OFFERS
from tui.widgets.plain import Plain
from tui.widgets.plan_picture import plan_lines
from tui.widgets.recipe_form import RecipeForm, label_of
from tui.words import t

STEPS = ("base", "dataset", "preset", "check")


@dataclass(frozen=True)
class Choices:
    """What was chosen so far; names."""

    base: str = ""
    dataset: str = ""
    preset: str = "standard"


class TrainScreen(PlaceScreen):
    """The wizard."""

    PLACE = "train"
    CSS_PATH = "train.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [*bindings("train")]

    def __init__(self) -> None:
        super().__init__()
        self.step = 0
        self.choices = Choices()
        self.changes: dict[str, str] = {}
        """Fields that were changed before the form was made; the others follow the preset, the method and the machine."""
        self.planned: dict[str, str] = {}
        """Fields that were changed before the last plan; others than ``changes`` if the form was used while it was made."""
        self.recipe: Recipe | None = None
        self.plan: TrainingPlan | None = None
        """The last plan and its recipe; None while another one is made, and if that fails."""

    def compose_body(self) -> ComposeResult:
        """Steps above, the present one below."""
        with Vertical(classes="body"):
            yield Plain("", id="steps")
            yield Plain("", id="question")
            with ContentSwitcher(initial="base"):
                for step in STEPS[:3]:
                    yield OptionList(id=step, markup=False)
                with Vertical(id="check"):
                    with VerticalScroll(id="findings"):
                        yield Plain("", id="plan")
                    yield VerticalScroll(id="expert")
                    with Horizontal(id="start-row"):
                        yield Plain(t("train.name"), classes="label")
                        yield Input(id="name", compact=True)
                        yield Button(t("train.start"), id="start", variant="primary", compact=True, disabled=True)

    def on_mount(self) -> None:
        """Begin with the base."""
        super().on_mount()
        self.query_one("#expert").display = False
        self.go_to(0)

    def on_screen_resume(self) -> None:
        """There may be more to choose from."""
        if self.step < len(STEPS) - 1:
            self.go_to(self.step)

    def go_to(self, step: int) -> None:
        """Show one of the steps."""
        self.step = step
        names = [f"{'●' if at == step else '✔' if at < step else '○'} {at + 1} {t(f'train.step_{name}')}" for at, name in enumerate(STEPS)]
        self.query_one("#steps", Plain).show("  →  ".join(names))
        self.refresh_bindings()
        self.query_one("#question", Plain).show(t(f"train.ask_{STEPS[step]}"))
        self.query_one(ContentSwitcher).current = STEPS[step]
        if STEPS[step] == "check":
            self.check(refit=True)
        else:
            self.offer(STEPS[step])

    @work(exclusive=True, group="offer")
    async def offer(self, step: str) -> None:
        """What can be chosen at a step."""
        found = await self.app.ask(OFFERS[step])
        if found is None:
            return
        options = self.query_one(f"#{step}", OptionList)
        options.clear_options()
        options.add_options([Option(shown, id=value) for value, shown in found])
        if not found:
            options.add_option(Option(t(f"train.no_{step}"), disabled=True))
        values = [value for value, _ in found]
        chosen = getattr(self.choices, step)
        options.highlighted = values.index(chosen) if chosen in values else 0
        options.focus()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Chosen: on to the next step."""
        if event.option.id:
            self.choices = replace(self.choices, **{STEPS[self.step]: event.option.id})
            self.go_to(self.step + 1)

    def action_step_back(self) -> None:
        """One step back."""
        if self.step:
            self.go_to(self.step - 1)

    @work(exclusive=True, group="check")
    async def check(self, *, refit: bool) -> None:
        """Fit the preset, or take the form as it is, and plan the training on this machine."""
        said, start = self.query_one("#plan", Plain), self.query_one("#start", Button)
        self.recipe = self.plan = None
        start.disabled = True
        said.show(t("train.checking"))
        if refit:
            self.changes = {}
            self._show_fields(False)
            await self.query_one("#expert").remove_children()
            self.refresh_bindings()
        chosen, changes = self.choices, self._changes()
        found = await self.app.ask(lambda workbench: _planned(workbench, chosen, changes), slowly=True)
        if found is None:
            said.show(t("train.no_plan"))
            return
        self.recipe, self.plan, told = found
        self.planned = changes
        said.show("\n".join([*told, *plan_lines(self.plan)]))
        start.disabled = not self.plan.fits
        name = self.query_one("#name", Input)
        name.value = name.value or f"{chosen.dataset.removesuffix('-train')}-{chosen.preset}"[:60]
        if self._changes() == changes:  # else the form has what was written meanwhile, and keeps it
            self.changes = changes
            await self._new_form(self.recipe)
        if not self.query_one("#expert").display:
            name.focus()

    def _changes(self) -> dict[str, str]:
        """Fields that a person has changed, in the form as it is now and before it was made, by their keys."""
        form = next(iter(self.query(RecipeForm)), None)
        return self.changes | (form.changes() if form is not None else {})

    async def _new_form(self, recipe: Recipe) -> None:
        expert = self.query_one("#expert")
        await expert.remove_children()
        await expert.mount(RecipeForm(("training",), as_layer(recipe)))
        self._show_fields(expert.display)
        self.refresh_bindings()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """The fields are offered once they were fitted; from the first step there is no way back."""
        if action == "expert":
            return STEPS[self.step] == "check" and bool(self.query(RecipeForm))
        return self.step > 0 if action == "step_back" else True

    def action_expert(self) -> None:
        """Show every field, or the plan again, made with the fields as they are now."""
        self._show_fields(not self.query_one("#expert").display)
        if not self.query_one("#expert").display:
            self.check(refit=False)

    def _show_fields(self, shown: bool) -> None:
        """The fields with the focus in them, or the plan."""
        self.query_one("#expert").display = shown
        self.query_one("#findings").display = not shown
        if shown:
            self.query(RecipeForm).first().query("Select, Input").first().focus()

    def on_button_pressed(self) -> None:
        """Begin."""
        self.begin()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter in the name begins, too."""
        if event.input.id == "name":
            self.begin()

    @work(exclusive=True, group="begin")
    async def begin(self) -> None:
        """Start the training, after a question if the rows have no passed privacy report, and open its page."""
        chosen, button = self.choices, self.query_one("#start", Button)
        if button.disabled:
            return
        state = await self.app.ask(lambda workbench: workbench.redaction.state(chosen.dataset))
        if state is None:
            return
        if not state.passed:
            question = ConfirmScreen(t("train.not_redacted"), t(f"data.privacy_{state.reason}"), t("train.nevertheless"))
            if not await self.app.push_screen_wait(question):
                return
        # Fields and plan can have become others since Start was pressed: all is read now, and by this thread.
        name, recipe, planned, changes = self.query_one("#name", Input).value.strip(), self.recipe, self.planned, self._changes()
        if recipe is None or button.disabled or self.choices != chosen:
            return

        def start(workbench: Workbench) -> Run:
            as_it_is_now = recipe if changes == planned else _fitted(workbench, chosen, changes)[0]
            choice = TrainingChoice(chosen.base, chosen.dataset, as_it_is_now, without_redaction=not state.passed)
            return workbench.models.start_training(choice, name)

        run = await self.app.ask(start, slowly=True)
        if run is not None:
            from tui.screens.run import RunScreen

            self.query_one("#name", Input).clear()
            self.go_to(0)
            await self.app.push_screen(RunScreen(run.id))


def _fitted(workbench: Workbench, chosen: Choices, changes: dict[str, str]) -> tuple[Recipe, FittedPreset]:
    named = named_layers(None, (f"{key}={value}" for key, value in changes.items()))
    return workbench.plans.fitted_recipe(chosen.preset, chosen.base, chosen.dataset, named=named)


def _planned(workbench: Workbench, chosen: Choices, changes: dict[str, str]) -> tuple[Recipe, TrainingPlan, list[str]]:
    """The recipe, its plan, and in words what was fitted to this machine and what else should be known."""
    recipe, fitted = _fitted(workbench, chosen, changes)
    told = []
    for choice in fitted.choices:
        reason = say("reasons", choice.reason, **choice.parameters)
        told.append("· " + t("train.fitted", field=label_of(f"training.{choice.field}"), value=choice.value, reason=reason))

    def hear(event: Event) -> None:
        if isinstance(event, Notice) and event.level == "warning":
            told.append("! " + say("notices", event.code, **event.parameters))

    return recipe, workbench.plans.plan(TrainingChoice(chosen.base, chosen.dataset, recipe), tell=hear), told
