"""A place that is one table and a few words about the chosen row: filled when it is shown, and when a run may have made something new."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import DataTable

from appliance.services.workbench import Workbench
from tui.keys import KEYS
from tui.screens.place import PlaceScreen
from tui.widgets.fitting import fill_anew, fitted
from tui.widgets.plain import Plain


class ListingScreen(PlaceScreen):
    """What the tables of datasets and models share; a subclass says what is listed."""

    COLUMNS: ClassVar[tuple[str, ...]] = ()
    """Their keys; ``heading`` has the words. The first is a name, which gives way where the screen is narrow."""

    def __init__(self) -> None:
        super().__init__()
        self._shown: list[tuple[str, Sequence[str]]] | None = None
        """The rows in the table."""
        self._fitted_to = 0
        """Width of the screen for which they were."""
        self._came_back = False
        """Whether another place was shown before this look."""

    def compose_body(self) -> ComposeResult:
        """The table, and the chosen row in words."""
        with Vertical(classes="body"):
            yield DataTable(cursor_type="row", zebra_stripes=True)
            yield Plain("", id="about", classes="quiet")

    def on_mount(self) -> None:
        """Columns first, then rows."""
        table = self.query_one(DataTable)
        for column in self.COLUMNS:
            table.add_column(self.heading(column), key=column)
        super().on_mount()
        self.look()
        table.focus()

    def on_screen_resume(self) -> None:
        """Back from elsewhere."""
        self._came_back = True
        super().on_screen_resume()

    def freshen(self) -> None:
        """There may be new rows."""
        self.look()

    @work(exclusive=True, group="listing")
    async def look(self) -> None:
        """Ask what there is and fill the table; the chosen row stays the chosen one, wherever it is now."""
        rows = await self.listed()
        if rows is None:
            return
        if (rows, self.app.size.width) == (self._shown, self._fitted_to):
            self._came_back = False
            self._tell()
            return
        keys, known = [key for key, _ in rows], {key for key, _ in self._shown or ()}
        is_elsewhere = self._came_back or not (self.is_current or isinstance(self.app.screen, ModalScreen))
        # Whoever comes back from a run goes on with what it has made.
        made = next((key for key in keys if key not in known), None) if is_elsewhere and known else None
        self._came_back, self._fitted_to = False, self.app.size.width
        self._shown = rows
        headings = [self.heading(column) for column in self.COLUMNS]
        fill_anew(self.query_one(DataTable), keys, fitted([cells for _, cells in rows], headings, 0, self.app.size.width), made)
        self.refresh_bindings()
        self._tell()

    def on_resize(self) -> None:
        """The names have another width."""
        self.look()

    def heading(self, column: str) -> str:
        """A column's words."""
        raise NotImplementedError

    async def listed(self) -> list[tuple[str, Sequence[str]]] | None:
        """(key, cells) of every row; None when the services would not tell."""
        raise NotImplementedError

    def about(self, row: int) -> str:
        """Words about a row, counted from 0; there may be none at that number."""
        raise NotImplementedError

    def on_data_table_row_highlighted(self) -> None:
        """Tell about the chosen row."""
        self._tell()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Keys about the chosen row are offered when there is one."""
        own = {key.action for key in KEYS[self.PLACE] if not key.id.startswith("import_")}
        return action not in own or bool(self._shown)

    @property
    def row(self) -> int:
        """The number of the row under the cursor."""
        return self.query_one(DataTable).cursor_row

    def _tell(self) -> None:
        self.query_one("#about", Plain).show(self.about(self.row))

    @work(exclusive=True, group="begin")
    async def begin(self, start: Callable[[Workbench], str]) -> None:
        """Start a run by a function that gives its id, and open its page."""
        from tui.screens.run import RunScreen

        run_id = await self.app.ask(start, slowly=True)
        if run_id is not None:
            await self.app.push_screen(RunScreen(run_id))
