"""The self-test: what it says while it goes on, then the sheet of what it found."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.worker import get_current_worker

from appliance.domain.errors import ApplianceError
from appliance.services.selftest_apart import selftest_apart
from tui.keys import bindings
from tui.screens.place import PlaceScreen
from tui.widgets.plain import Plain, harmless
from tui.words import t


class SelftestScreen(PlaceScreen):
    """One self-test; it goes on when the page is left."""

    PLACE = "help"
    CSS_PATH = "selftest.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [*bindings("selftest")]

    def compose_body(self) -> ComposeResult:
        """What is going on, then what was found."""
        with VerticalScroll(classes="body"):
            yield Plain(t("selftest.going"), id="said", classes="quiet")
            yield Plain("", id="sheet")

    def on_mount(self) -> None:
        """Begin; the app's own worker, so that leaving the page does not end it."""
        super().on_mount()
        self.query_one(VerticalScroll).focus()
        self.app.run_worker(self._test, thread=True, exclusive=True, group="selftest")

    def _test(self) -> None:
        worker = get_current_worker()
        try:
            with self.app.desk.opened() as workbench:
                home = workbench.home
            path = selftest_apart(home, lambda said: self.app.call_from_thread(self._say, said), lambda: worker.is_cancelled)
        except ApplianceError as error:
            self.app.call_from_thread(self.app.tell, error)
            return
        if path is not None:
            self.app.call_from_thread(self._show_sheet, t("selftest.written", path=str(path)), path.read_text("utf-8"))

    def _say(self, said: str) -> None:
        if self.is_attached:
            self.query_one("#said", Plain).show(f"{t('selftest.going')}\n{harmless(said)}")

    def _show_sheet(self, written: str, sheet: str) -> None:
        self.app.notify(written)
        if self.is_attached:
            self.query_one("#said", Plain).show(written)
            self.query_one("#sheet", Plain).show(sheet)

    def action_back(self) -> None:
        """Back to where it was asked for."""
        self.dismiss(None)
