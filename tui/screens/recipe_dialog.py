"""A dialog that starts a run: a name, and the recipe's fields that concern it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Select

from appliance.domain.recipe import Recipe, as_layer
from appliance.services.recipes import compose_recipe
from tui.host import HostApp
from tui.keys import bindings
from tui.widgets.plain import Plain
from tui.widgets.recipe_form import RecipeForm
from tui.words import t


@dataclass(frozen=True)
class Question:
    """One more choice of a dialog."""

    name: str
    choices: tuple[tuple[str, str], ...]
    """Pairs of (shown, value)."""
    default: str = ""
    """One of the values, or nothing for a choice that may stay open."""


@dataclass(frozen=True)
class Chosen:
    """What the person decided."""

    name: str
    recipe: Recipe
    answers: dict[str, str]


class RecipeDialog(ModalScreen[Chosen | None]):
    """Name, choices, fields; all mistakes are told at once, and nothing is lost by them."""

    CSS_PATH = "dialogs.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [*bindings("dialog")]

    app: HostApp

    def __init__(
        self, title: str, name: str, sections: tuple[str, ...], questions: tuple[Question, ...] = (), only: tuple[str, ...] = ()
    ) -> None:
        super().__init__()
        self._title = title
        self._name = name
        self._sections = sections
        self._questions = questions
        self._only = only

    def compose(self) -> ComposeResult:
        """From top to bottom as it is filled in."""
        values: dict[str, dict[str, Any]] = as_layer(Recipe())
        with Vertical(classes="dialog wide"):
            yield Plain(self._title, classes="message")
            if self._name:
                with Horizontal(classes="row"):
                    yield Plain(t("form.name"), classes="label")
                    yield Input(self._name, id="name", compact=True)
            for question in self._questions:
                with Horizontal(classes="row"):
                    yield Plain(t(f"form.ask_{question.name}"), classes="label")
                    yield _select(question)
            yield RecipeForm(self._sections, values, self._only)
            with Horizontal(classes="buttons"):
                yield Plain(t("dialog.keys"), classes="keys quiet")
                yield Button(t("dialog.no"), id="no", compact=True)
                yield Button(t("dialog.start"), id="start", variant="primary", compact=True)

    def on_input_submitted(self) -> None:
        """Enter in a field begins, too."""
        self.take()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Begin, or not."""
        if event.button.id == "no":
            self.dismiss(None)
        else:
            self.take()

    @work(exclusive=True)
    async def take(self) -> None:
        """Check the recipe as a whole."""
        assignments = self.query_one(RecipeForm).assignments()
        recipe = await self.app.ask(lambda _workbench: compose_recipe(None, None, assignments))
        if recipe is None:
            return
        selects = {one.name: self.query_one(f"#ask-{one.name}", Select).value for one in self._questions}
        answers = {name: value for name, value in selects.items() if isinstance(value, str)}
        self.dismiss(Chosen(self.query_one("#name", Input).value.strip() if self._name else "", recipe, answers))


def _select(question: Question) -> Select[str]:
    where = f"ask-{question.name}"
    if question.default:
        return Select(question.choices, value=question.default, allow_blank=False, compact=True, id=where)
    return Select(question.choices, prompt=t("form.none"), compact=True, id=where)
