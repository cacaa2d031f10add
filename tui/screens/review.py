"""The review list: finds that may be something else than personal data, decided by a person one by one."""

from __future__ import annotations

from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.widgets import DataTable

from appliance.domain.dataset import Dataset
from appliance.domain.redaction import Choice, Decision
from appliance.services.redaction import ReviewEntry
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
    PAGE = "review"
    CSS_PATH = "review.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [*bindings("review")]

    def __init__(self, dataset: Dataset) -> None:
        super().__init__()
        self.dataset = dataset
        self.entries: list[ReviewEntry] = []
        self.decisions: dict[str, Choice] = {}
        self._applied: dict[str, Choice] = {}
        """What had been decided when the dataset was made."""

    def compose_body(self) -> ComposeResult:
        """Heading, table, explanation."""
        with Vertical(classes="body"):
            yield Plain(t("review.title", name=harmless(self.dataset.name)), id="heading")
            yield DataTable(cursor_type="row", zebra_stripes=True)
            yield Plain("", id="entry")
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
        there = await self.app.ask(
            lambda workbench: (list(workbench.redaction.review(self.dataset.id, MOST)), workbench.redaction.decisions(self.dataset.id)),
            slowly=True,
        )
        entries, decided = there or ([], ())
        self.entries = entries
        self._applied = {one.place: one.choice for one in decided}
        self.decisions = dict(self._applied)
        table = self.query_one(DataTable)
        for entry in self.entries:
            cells = (self._decided(entry), say("kinds", entry.kind), f"{entry.count}", entry.found or entry.masked, entry.context)
            table.add_row(*map(cell, cells), key=entry.place)
        if not self.entries:
            self.query_one("#about", Plain).show(t("review.nothing"))

    def _decided(self, entry: ReviewEntry) -> str:
        choice = self.decisions.get(entry.place)
        return t("review.open") if choice is None else t(f"review.{choice}")

    def on_data_table_row_highlighted(self, event: DataTable.RowHighlighted) -> None:
        """The chosen find in full: a line of the table may be longer than the screen."""
        if 0 <= event.cursor_row < len(self.entries):
            entry = self.entries[event.cursor_row]
            place = t("review.place", place=event.cursor_row + 1, count=len(self.entries), decided=len(self.decisions))
            self.query_one("#entry", Plain).show(f"{place}\n{entry.context or entry.masked}")

    def action_replace(self) -> None:
        """It is personal data."""
        self._decide("replace")

    def action_keep(self) -> None:
        """It is something else and stays."""
        self._decide("keep")

    def action_undo(self) -> None:
        """Not decided after all."""
        self._decide(None)

    def _decide(self, choice: Choice | None) -> None:
        table = self.query_one(DataTable)
        if not 0 <= table.cursor_row < len(self.entries):
            return
        entry = self.entries[table.cursor_row]
        if choice is None:
            self.decisions.pop(entry.place, None)
        else:
            self.decisions[entry.place] = choice
        table.update_cell(entry.place, "decision", cell(self._decided(entry)), update_width=True)
        if choice is not None and table.cursor_row + 1 < len(self.entries):
            table.action_cursor_down()
        else:
            self.on_data_table_row_highlighted(DataTable.RowHighlighted(table, table.cursor_row, table.ordered_rows[table.cursor_row].key))

    @work(exclusive=True)
    async def action_apply(self) -> None:
        """Redact the source anew with what was decided, and open the run's page."""
        if not self.decisions:
            self.app.notify(t("review.decide_first"), severity="warning")
            return
        decisions = [Decision(place, choice) for place, choice in self.decisions.items()]
        run = await self.app.ask(lambda workbench: workbench.redaction.start_decided(self.dataset.id, decisions), slowly=True)
        if run is not None:
            from tui.screens.run import RunScreen

            # Not awaited: it ends this screen, and this worker with it.
            self.app.switch_screen(RunScreen(run.id))

    @property
    def holds_work(self) -> bool:
        """Decisions that were not applied."""
        return self.decisions != self._applied

    @work(exclusive=True)
    async def action_back(self) -> None:
        """To the list of datasets; decisions that were not applied are not lost without a question."""
        if self.holds_work:
            from tui.screens.confirm import ConfirmScreen

            question = ConfirmScreen(t("review.leave_question"), t("review.leave_consequence"), t("review.leave_yes"))
            if not await self.app.push_screen_wait(question):
                return
        self.dismiss(None)
