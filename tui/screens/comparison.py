"""Models' scores side by side."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import DataTable

from appliance.domain.model import Model
from appliance.texts.speech import say
from tui.keys import bindings
from tui.widgets.bars import keys_line
from tui.widgets.plain import Plain, cell
from tui.widgets.states import figure
from tui.words import t


class ComparisonScreen(ModalScreen[None]):
    """One row per model, one column per score; each score's difference from the chosen model stands behind it."""

    CSS_PATH = "dialogs.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [*bindings("dialog")]

    def __init__(self, models: list[tuple[Model, dict[str, float]]], chosen: Model | None) -> None:
        super().__init__()
        self._models = [one for one in models if one[1]]
        self._chosen = chosen

    def compose(self) -> ComposeResult:
        """A table in the middle."""
        with Vertical(classes="dialog wide") as box:
            box.border_subtitle = keys_line("dialog")
            yield Plain(t("models.compare_title", name=self._chosen.name if self._chosen else ""), classes="message")
            yield DataTable(cursor_type="row", zebra_stripes=True)
            if not self._models:
                yield Plain(t("models.no_scores"), classes="hint")

    def on_mount(self) -> None:
        """Fill it."""
        table = self.query_one(DataTable)
        names = list(dict.fromkeys(name for _, scores in self._models for name in scores))
        reference = next((scores for model, scores in self._models if self._chosen and model.id == self._chosen.id), {})
        table.add_column(t("models.name"))
        for name in names:
            table.add_column(say("labels", f"score_{name}"))
        for model, scores in self._models:
            table.add_row(cell(model.name), *(_cell(name, scores, reference) for name in names))
        table.focus()


def _cell(name: str, scores: dict[str, float], reference: dict[str, float]) -> str:
    if name not in scores:
        return ""
    shown = figure(name, scores[name])
    if name in reference and scores is not reference:
        shown += f" ({scores[name] - reference[name]:+.3f})"
    return shown
