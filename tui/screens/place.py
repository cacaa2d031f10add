"""What every place has: the bar of places, a body, the bar of keys, and news of the runs."""

from __future__ import annotations

from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.screen import Screen

from tui.follow import RunsSeen
from tui.host import HostApp
from tui.widgets.bars import KeyBar, PlacesBar


class PlaceScreen(Screen[Any]):
    """A full screen of the app."""

    PLACE: ClassVar[str] = ""
    """Which place is marked in the bar."""

    app: HostApp

    def compose(self) -> ComposeResult:
        """Bar, body, bar."""
        yield PlacesBar(self.PLACE)
        yield from self.compose_body()
        yield KeyBar()

    def compose_body(self) -> ComposeResult:
        """What lies between the bars."""
        yield from ()

    def on_mount(self) -> None:
        """Hear of the runs from now on."""
        self.app.runs_signal.subscribe(self, self._runs_seen, immediate=True)
        self._runs_seen(self.app.runs_seen)

    def _runs_seen(self, seen: RunsSeen) -> None:
        self.query_one(PlacesBar).show_going(seen.active)
        self.show_runs(seen)

    def show_runs(self, seen: RunsSeen) -> None:
        """Show what concerns this place of the runs."""
