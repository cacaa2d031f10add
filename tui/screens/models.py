"""Models: bases, adapters and what was exported, their scores and where they come from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from textual import work
from textual.binding import BindingType

from appliance.domain.model import Model
from appliance.services.workbench import Workbench
from appliance.texts.speech import human_bytes, say
from tui.keys import bindings
from tui.screens.listing import ListingScreen
from tui.screens.recipe_dialog import Chosen, Question, RecipeDialog
from tui.widgets.plain import harmless
from tui.widgets.states import figure, moment
from tui.words import t

FORMS = ("gguf", "merged", "adapter")

Scored = tuple[Model, dict[str, float]]


class ModelsScreen(ListingScreen):
    """The table of models."""

    PLACE = "models"
    CSS_PATH = "models.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [*bindings("models")]

    COLUMNS: ClassVar[tuple[str, ...]] = ("name", "kind", "exam", "loss", "size", "created")

    def __init__(self) -> None:
        super().__init__()
        self.models: list[Scored] = []

    def heading(self, column: str) -> str:
        """A column's words."""
        return t(f"models.{column}")

    async def listed(self) -> list[tuple[str, Sequence[str]]] | None:
        """All models with their scores, the newest first."""
        there = await self.app.ask(_scored)
        if there is None:
            return None
        self.models = there
        return [(model.id, _cells(model, scores)) for model, scores in there]

    def on_data_table_row_selected(self) -> None:
        """Enter shows where it comes from."""
        self.action_lineage()

    @property
    def chosen(self) -> Model | None:
        """The model under the cursor."""
        return self.models[self.row][0] if 0 <= self.row < len(self.models) else None

    def about(self, row: int) -> str:
        """Where its files are, and its scores."""
        if not 0 <= row < len(self.models):
            return t("models.none")
        model, scores = self.models[row]
        parts = [f"{say('labels', 'score_' + name)} {figure(name, value)}" for name, value in scores.items()]
        return f"{harmless(model.name)}  {model.id}\n{harmless(model.path)}\n{'  '.join(parts)}"

    def action_lineage(self) -> None:
        """What it was made from."""
        if model := self.chosen:
            from tui.screens.lineage import LineageScreen

            self.app.push_screen(LineageScreen(model.id))

    def action_compare(self) -> None:
        """The scores of all models side by side."""
        from tui.screens.comparison import ComparisonScreen

        self.app.push_screen(ComparisonScreen(self.models, self.chosen))

    def action_import_model(self) -> None:
        """Bring a base model's folder in."""
        from tui.screens.browse import BrowseScreen

        self.app.push_screen(BrowseScreen(t("models.import_title"), folders=True), self._named)

    def _named(self, folder: Path | None) -> None:
        if folder is not None:
            from tui.screens.naming import NamingScreen

            def named(name: str | None) -> None:
                if name:
                    self.begin(lambda workbench: workbench.models.start_import(folder, name).id)

            self.app.push_screen(NamingScreen(t("models.name_it"), folder.name), named)

    def action_export(self) -> None:
        """Write the chosen model for serving."""
        model = self.chosen
        if model is None or model.kind not in ("base", "adapter", "merged"):
            self.app.notify(t("models.not_exportable"), severity="warning")
            return
        forms = Question("form", tuple((t(f"models.form_{form}"), form) for form in FORMS), "gguf")

        def chosen(decided: Chosen | None) -> None:
            if decided is not None:
                self.begin(
                    lambda workbench: (
                        workbench.models.start_export(
                            model.id,
                            decided.name,
                            decided.recipe,
                            decided.answers["form"],
                        ).id
                    )
                )

        self.app.push_screen(RecipeDialog(t("models.export_title", name=model.name), f"{model.name}-q4", ("export",), (forms,)), chosen)

    @work(exclusive=True, group="verify")
    async def action_verify(self) -> None:
        """Compare the chosen model's files with the registry's checksum."""
        if model := self.chosen:
            self.app.notify(t("models.verifying", name=model.name))
            verified = await self.app.ask(lambda workbench: workbench.models.verify(model.id), slowly=True)
            if verified is not None:
                self.app.notify(t("models.verified", name=model.name))

    @work(exclusive=True, group="remove")
    async def action_remove(self) -> None:
        """Delete the chosen model, after a question; what was made from it is shown instead if there is something."""
        if (model := self.chosen) is None:
            return
        below = await self.app.ask(lambda workbench: workbench.models.dependants(model.id))
        if below is None:
            return
        if below["children"]:
            from tui.screens.lineage import DependantsScreen

            self.app.push_screen(DependantsScreen(below))
            return
        from tui.screens.confirm import ConfirmScreen

        question = t("models.remove_question", name=model.name)
        if await self.app.push_screen_wait(ConfirmScreen(question, t("models.remove_consequence"), t("models.remove_yes"))):
            await self.app.ask(lambda workbench: workbench.models.remove(model.id))
            self.look()


def _scored(workbench: Workbench) -> list[Scored]:
    models = sorted(workbench.models.all(), key=lambda model: -model.created)
    return [(model, _scores(workbench, model)) for model in models]


def _scores(workbench: Workbench, model: Model) -> dict[str, float]:
    """What examinations gave; a model that was not examined has the loss that its training measured."""
    measured = {} if (loss := model.facts.get("validation_loss")) is None else {"validation_loss": float(loss)}
    return measured | {score.name: score.value for score in workbench.models.scores(model.id)}


def _cells(model: Model, scores: dict[str, float]) -> tuple[str, ...]:
    exam, loss = scores.get("exam_accuracy"), scores.get("validation_loss")
    return (
        harmless(model.name),
        t(f"models.kind_{model.kind}"),
        "" if exam is None else f"{exam:.1%}",
        "" if loss is None else f"{loss:.3f}",
        human_bytes(model.size),
        moment(model.created),
    )
