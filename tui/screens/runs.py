"""Runs: all of them, newest first, with what can be done about each."""

from __future__ import annotations

import time
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.widgets import DataTable

from appliance.domain.run import Run
from appliance.texts.speech import explain_code, human_duration, say
from tui.command_keys import in_keys
from tui.follow import RunNow, RunsSeen
from tui.keys import bindings
from tui.screens.place import PlaceScreen
from tui.screens.run_actions import can_be, cancel_run, resume_run
from tui.widgets.fitting import fill_anew, fitted
from tui.widgets.plain import Plain, cell, harmless
from tui.widgets.states import mark_of, moment
from tui.words import t

COLUMNS = ("state", "name", "progress", "began", "took")


class RunsScreen(PlaceScreen):
    """The table of runs."""

    PLACE = "runs"
    CSS_PATH = "runs.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [*bindings("runs")]

    def compose_body(self) -> ComposeResult:
        """The table, and the chosen run's end in words."""
        with Vertical(classes="body"):
            yield DataTable(cursor_type="row", zebra_stripes=True, id="runs")
            yield Plain("", id="told", classes="quiet")

    def on_mount(self) -> None:
        """Columns first, then rows."""
        table = self.query_one(DataTable)
        for column in COLUMNS:
            table.add_column(t(f"runs.{column}"), key=column)
        super().on_mount()
        table.focus()

    def show_runs(self, seen: RunsSeen) -> None:
        """Update the rows that changed; draw anew when runs came or went."""
        table = self.query_one(DataTable)
        listed = [one.run.id for one in seen.runs]
        headings = [t(f"runs.{column}") for column in COLUMNS]
        rows = fitted([_cells(one) for one in seen.runs], headings, COLUMNS.index("name"), self.app.size.width)
        if listed != [row.value for row in table.rows]:
            fill_anew(table, listed, rows)
        else:
            for run_id, cells in zip(listed, rows, strict=True):
                for column, shown in zip(COLUMNS, map(cell, cells), strict=True):
                    if table.get_cell(run_id, column).plain != shown.plain:
                        table.update_cell(run_id, column, shown, update_width=True)
        self.refresh_bindings()
        self.query_one("#told", Plain).show(self._told() if listed else t("runs.none"))

    def on_resize(self) -> None:
        """The names have another width."""
        self.show_runs(self.app.runs_seen)

    def on_data_table_row_highlighted(self) -> None:
        """Tell about the chosen run, and what can be done about it."""
        self.refresh_bindings()
        self.query_one("#told", Plain).show(self._told())

    def on_data_table_row_selected(self) -> None:
        """Enter opens the run's page."""
        self.action_open()

    def action_open(self) -> None:
        """The run's page."""
        if run := self.chosen:
            from tui.screens.run import RunScreen

            self.app.push_screen(RunScreen(run.id))

    def action_cancel_run(self) -> None:
        """End the chosen run for good."""
        if run := self.chosen:
            cancel_run(self.app, run)

    def action_resume_run(self) -> None:
        """Go on with the chosen run."""
        if run := self.chosen:
            resume_run(self.app, run)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Only keys that do something to the chosen run are offered."""
        if action not in ("cancel_run", "resume_run"):
            return True
        run = self.chosen if self.is_mounted else None
        return run is not None and can_be(action, run)

    @property
    def chosen(self) -> Run | None:
        """The run under the cursor."""
        runs = self.app.runs_seen.runs
        row = self.query_one(DataTable).cursor_row
        return runs[row].run if 0 <= row < len(runs) else None

    def _told(self) -> str:
        run = self.chosen
        if run is None:
            return ""
        name = harmless(run.name)
        if run.state == "failed":
            message, hint = map(in_keys, explain_code(run.failure["code"], run.failure.get("parameters", {})))
            return f"{name}\n✘ {message}\n{t('dialog.hint')} {hint}"
        return f"{name}\n{t(f'runs.about_{run.state}')}"


def _cells(one: RunNow) -> tuple[str, ...]:
    run = one.run
    progress = ""
    if one.stage is not None and run.state == "running":
        share = f" {one.stage.share:.0%}" if one.stage.share is not None else ""
        progress = f"{one.position + 1}/{one.stages} {say('stages', one.stage_title)}{share}"
    took = human_duration((run.ended or time.time()) - run.started) if run.started else ""
    return f"{mark_of(run.state)} {t('runs.state_' + run.state)}", harmless(run.name), progress, moment(run.created), took
