"""One dataset: its rows, however many, and those that were not accepted."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical, VerticalScroll

from appliance.domain.dataset import REJECTED_FILE, ROWS_FILE, Dataset
from appliance.services.row_pages import PAGE_ROWS, RowPages
from appliance.texts.speech import say
from tui.keys import bindings
from tui.screens.place import PlaceScreen
from tui.widgets.plain import Plain, harmless
from tui.widgets.row_list import RowList
from tui.words import t

LINE_CHARS = 300
"""Of a row's text that can be in sight."""


class DatasetScreen(PlaceScreen):
    """Rows above, the chosen one below."""

    PLACE = "data"
    CSS_PATH = "dataset.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [*bindings("dataset")]

    def __init__(self, dataset: Dataset) -> None:
        super().__init__()
        self.dataset = dataset
        self.shows_rejected = False
        self._pages = RowPages(Path(dataset.path) / ROWS_FILE)
        self._held: dict[int, list[dict[str, Any]]] = {}

    def compose_body(self) -> ComposeResult:
        """Heading, rows, the chosen row."""
        with Vertical(classes="body"):
            yield Plain("", id="heading")
            yield RowList(PAGE_ROWS, id="rows")
            with VerticalScroll(id="row-box"):
                yield Plain("", id="row")

    def on_mount(self) -> None:
        """The accepted rows first."""
        super().on_mount()
        self.show_rows(rejected=False)
        self.query_one(RowList).focus()

    def show_rows(self, *, rejected: bool) -> None:
        """Accepted rows, or those that were not."""
        self.shows_rejected = rejected
        self._pages = RowPages(Path(self.dataset.path) / (REJECTED_FILE if rejected else ROWS_FILE))
        self._held.clear()
        counts = self.dataset.counts
        left_out = counts.get("rejected", counts.get("dropped", 0))
        shown = t("data.left_out_rows") if rejected else t("data.accepted_rows")
        self.query_one("#heading", Plain).show(f"{harmless(self.dataset.name)}  ·  {shown}")
        self.query_one("#row", Plain).show("")
        self.query_one(RowList).begin(left_out if rejected else counts.get("rows", 0))

    def on_row_list_wanted(self, message: RowList.Wanted) -> None:
        """Read a page."""
        self.read_page(message.page, self._pages)

    @work(group="pages")
    async def read_page(self, page: int, pages: RowPages) -> None:
        """A page from the file, off the screen's own thread."""
        rows = await self.app.ask(lambda _workbench: pages.page(page))
        if rows is None or pages is not self._pages:
            return
        self._held[page] = rows
        while len(self._held) > 30:
            self._held.pop(next(iter(self._held)))
        row_list = self.query_one(RowList)
        row_list.give(page, [_line(row) for row in rows])
        if row_list.cursor // PAGE_ROWS == page:
            self._show_row(row_list.cursor)

    def on_row_list_moved(self, message: RowList.Moved) -> None:
        """The chosen row in full."""
        self._show_row(message.index)

    def _show_row(self, index: int) -> None:
        page, place = divmod(index, PAGE_ROWS)
        rows = self._held.get(page, [])
        if place < len(rows):
            self.query_one("#row", Plain).show(_whole(rows[place]))

    def action_toggle_rejected(self) -> None:
        """The other rows."""
        self.show_rows(rejected=not self.shows_rejected)

    def action_back(self) -> None:
        """To the list of datasets."""
        self.dismiss(None)


def _line(row: dict[str, Any]) -> str:
    if "reason" in row:
        return f"{t('data.line')} {row.get('line', '?')}: {_reason(row)}  {row.get('excerpt', '')}"[:LINE_CHARS]
    if "text" in row:
        return str(row["text"])[:LINE_CHARS]
    return " ⏐ ".join(str(message.get("content", ""))[:LINE_CHARS] for message in row.get("messages", ()))[:LINE_CHARS]


def _whole(row: dict[str, Any]) -> str:
    if "reason" in row:
        return f"{_reason(row)}\n{row.get('excerpt', '')}"
    if "text" in row:
        return str(row["text"])
    parts = [f"{say('labels', 'role_' + str(message.get('role')))}: {message.get('content', '')}" for message in row.get("messages", ())]
    return "\n".join(parts) + (f"\n{row['source']}" if row.get("source") else "")


def _reason(row: dict[str, Any]) -> str:
    return say("problems", str(row["reason"]), **(row.get("parameters") or {}))
