"""One dataset: its rows, however many, what a model learns from each, what was not accepted, and what it all looks like."""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec
from textual import work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical, VerticalScroll

from appliance.domain.dataset import Dataset
from appliance.domain.recipe import Recipe
from appliance.services.workbench import Workbench
from appliance.texts.speech import say
from tui.keys import bindings
from tui.screens.place import PlaceScreen
from tui.widgets.description_picture import description_lines
from tui.widgets.plain import Plain, harmless
from tui.widgets.row_list import RowList
from tui.widgets.token_picture import drawn_tokens
from tui.words import t

PAGE_ROWS = 100
HELD_PAGES = 30
LINE_CHARS = 300
"""Of a row's text that can be in sight."""


class DatasetScreen(PlaceScreen):
    """Rows above, the chosen one below."""

    PLACE = "data"
    PAGE = "dataset"
    CSS_PATH = "dataset.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [*bindings("dataset")]

    def __init__(self, dataset: Dataset) -> None:
        super().__init__()
        self.dataset = dataset
        self.shows_rejected = False
        self.shows_tokens = False
        self._held: dict[int, list[dict[str, Any]]] = {}

    def compose_body(self) -> ComposeResult:
        """Heading, rows, the chosen row."""
        with Vertical(classes="body"):
            yield Plain("", id="heading")
            yield RowList(PAGE_ROWS, id="rows")
            with VerticalScroll(id="row-box"):
                yield Plain("", id="row")
            with VerticalScroll(id="description-box"):
                yield Plain("", id="description")

    def on_mount(self) -> None:
        """The accepted rows first."""
        super().on_mount()
        self.query_one("#description-box").display = False
        self.show_rows(rejected=False)
        self.query_one(RowList).focus()

    def show_rows(self, *, rejected: bool) -> None:
        """Accepted rows, or those that were not."""
        self.shows_rejected = rejected
        self._held = {}
        counts = self.dataset.counts
        left_out = counts.get("rejected", counts.get("dropped", 0))
        shown = t("data.left_out_rows") if rejected else t("data.accepted_rows")
        self.query_one("#heading", Plain).show(f"{harmless(self.dataset.name)}  ·  {shown}")
        self.query_one("#row", Plain).show("")
        self.query_one(RowList).begin(left_out if rejected else counts.get("rows", 0))

    def on_row_list_wanted(self, message: RowList.Wanted) -> None:
        """Read a page."""
        self.read_page(message.page, self.shows_rejected)

    @work(group="pages")
    async def read_page(self, page: int, rejected: bool) -> None:
        """A page from the file, off the screen's own thread."""
        rows = await self.app.ask(lambda workbench: _page(workbench, self.dataset, page, rejected))
        if rows is None or rejected != self.shows_rejected:
            return
        self._held[page] = rows
        while len(self._held) > HELD_PAGES:
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
        if self.shows_tokens and not self.shows_rejected:
            self.show_tokens(index)
        elif place < len(rows):
            self.query_one("#row", Plain).show(_whole(rows[place]))

    @work(exclusive=True, group="tokens")
    async def show_tokens(self, index: int) -> None:
        """What the model would learn from a row, told by the process that tokenizes as training does."""
        base = await self.app.ask(_newest_base)
        if not base:
            self.query_one("#row", Plain).show(t("data.no_base_for_tokens"))
            return
        training = Recipe().training
        found = await self.app.ask(
            lambda workbench: workbench.previews.tokens(self.dataset.id, index + 1, base, training.max_length, training.long_rows)
        )
        if found is not None:
            self.query_one("#row", Plain).show(drawn_tokens(found, training.max_length))
        else:
            self.shows_tokens = False

    def action_toggle_rejected(self) -> None:
        """The other rows."""
        self.show_rows(rejected=not self.shows_rejected)

    def action_toggle_tokens(self) -> None:
        """The chosen row as text, or as the tokens that are trained."""
        self.shows_tokens = not self.shows_tokens
        self.query_one("#row", Plain).show(t("data.tokenizing") if self.shows_tokens else "")
        self._show_row(self.query_one(RowList).cursor)

    async def action_toggle_description(self) -> None:
        """What the whole dataset looks like, or its rows again."""
        box = self.query_one("#description-box")
        box.display = not box.display
        for part in ("#rows", "#row-box"):
            self.query_one(part).display = not box.display
        if box.display:
            box.focus()
            self.describe()
        else:
            self.query_one(RowList).focus()

    @work(exclusive=True, group="description")
    async def describe(self) -> None:
        """Lengths, languages, classes, the quality card, the privacy report."""
        said = self.query_one("#description", Plain)
        said.show(t("data.describing"))
        found = await self.app.ask(
            lambda workbench: (
                workbench.descriptions.describe(self.dataset.id, _newest_base(workbench) or None),
                workbench.redaction.state(self.dataset.id),
            ),
            slowly=True,
        )
        said.show("\n".join(description_lines(found[0], self.dataset, found[1])) if found is not None else "")

    def action_back(self) -> None:
        """To the list of datasets."""
        self.dismiss(None)


def _page(workbench: Workbench, dataset: Dataset, page: int, rejected: bool) -> list[dict[str, Any]]:
    if rejected:
        return list(workbench.datasets.rejected(dataset.id, PAGE_ROWS, page * PAGE_ROWS))
    return [msgspec.json.decode(line) for _, line in workbench.datasets.lines(dataset, page * PAGE_ROWS, PAGE_ROWS)]


def _newest_base(workbench: Workbench) -> str:
    """The base whose tokens are shown; empty if there is none yet."""
    return next((model.name for model in reversed(list(workbench.models.all())) if model.kind == "base"), "")


def _line(row: dict[str, Any]) -> str:
    if "reason" in row:
        return f"{t('data.line', line=row.get('line', '?'))}: {_reason(row)}  {row.get('excerpt', '')}"[:LINE_CHARS]
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
