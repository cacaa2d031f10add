"""The review list: finds that may be something else than personal data, decided by a person one by one."""

from __future__ import annotations

from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.widgets import DataTable

from appliance.domain.dataset import Dataset
from appliance.domain.recipe import RedactionRecipe
from appliance.domain.redaction import Choice, Decision
from appliance.services.redaction import ReviewEntry
from appliance.services.workbench import Workbench
from appliance.texts.speech import say
from tui.keys import bindings
from tui.screens.place import PlaceScreen
from tui.widgets.plain import Plain, cell, harmless
from tui.words import t

COLUMNS = ("decision", "kind", "count", "found", "context")
MOST = 5000
"""Entries that are listed."""


class ReviewScreen(PlaceScreen):
    """One line per find; what is decided is applied by redacting anew."""

    PLACE = "data"
    CSS_PATH = "review.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [*bindings("review")]

    def __init__(self, dataset: Dataset) -> None:
        super().__init__()
        self.dataset = dataset
        self.entries: list[ReviewEntry] = []
        self.decisions: dict[str, Choice] = {}

    def compose_body(self) -> ComposeResult:
        """Heading, table, explanation."""
        with Vertical(classes="body"):
            yield Plain(t("review.title", name=harmless(self.dataset.name)), id="heading")
            yield DataTable(cursor_type="row", zebra_stripes=True)
            yield Plain(t("review.about"), id="about", classes="quiet")

    def on_mount(self) -> None:
        """Columns first, then the list."""
        table = self.query_one(DataTable)
        for column in COLUMNS:
            table.add_column(t(f"review.{column}"), key=column)
        super().on_mount()
        self.fill()
        table.focus()

    @work(exclusive=True)
    async def fill(self) -> None:
        """Ask for the list."""
        entries = await self.app.ask(lambda workbench: list(workbench.redaction.review(self.dataset.id, MOST)), slowly=True)
        self.entries = entries or []
        table = self.query_one(DataTable)
        for entry in self.entries:
            found = entry.found or entry.masked
            cells = (t("review.open"), say("kinds", entry.kind), f"{entry.count}", found, entry.context)
            table.add_row(*map(cell, cells), key=entry.place)
        if not self.entries:
            self.query_one("#about", Plain).show(t("review.nothing"))

    def action_replace(self) -> None:
        """It is personal data."""
        self._decide("replace")

    def action_keep(self) -> None:
        """It is something else and stays."""
        self._decide("keep")

    def _decide(self, choice: Choice) -> None:
        table = self.query_one(DataTable)
        if not 0 <= table.cursor_row < len(self.entries):
            return
        place = self.entries[table.cursor_row].place
        self.decisions[place] = choice
        table.update_cell(place, "decision", cell(t(f"review.{choice}")), update_width=True)
        table.action_cursor_down()

    @work(exclusive=True)
    async def action_apply(self) -> None:
        """Redact the source anew with what was decided, and open the run's page."""
        if not self.decisions:
            self.app.notify(t("review.decide_first"), severity="warning")
            return
        decisions = [Decision(place, choice) for place, choice in self.decisions.items()]
        run_id = await self.app.ask(lambda workbench: _apply(workbench, self.dataset, decisions), slowly=True)
        if run_id is not None:
            from tui.screens.run import RunScreen

            # Not awaited: it ends this screen, and this worker with it.
            self.app.switch_screen(RunScreen(run_id))

    def action_back(self) -> None:
        """To the list of datasets."""
        self.dismiss(None)


def _apply(workbench: Workbench, dataset: Dataset, decisions: list[Decision]) -> str:
    was_redacted = "redaction" in dataset.facts
    source = (workbench.datasets.source_of(dataset) if was_redacted else None) or dataset
    return workbench.redaction.start_redaction(source.id, None, RedactionRecipe(), decisions=decisions).id
