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
    PAGE: ClassVar[str] = ""
    """Whose keys work, by their name in the table of keys, if they are not the place's."""

    app: HostApp

    def __init__(self) -> None:
        super().__init__()
        self._over: tuple[str, ...] | None = None
        """The runs that were done when this was looked at last."""

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

    def on_screen_resume(self) -> None:
        """Catch up with what happened while another place was shown."""
        self._runs_seen(self.app.runs_seen)
        self.freshen()

    def _runs_seen(self, seen: RunsSeen) -> None:
        if self not in self.app.screen_stack:
            return  # Drawing what nobody sees would keep a key waiting; coming back catches up.
        self.query_one(PlacesBar).show_going(seen.active)
        self.show_runs(seen)
        over = tuple(one.run.id for one in seen.runs if one.run.state == "done")
        if self._over is not None and over != self._over:
            self.freshen()
        self._over = over

    @property
    def holds_work(self) -> bool:
        """Whether leaving would lose something: then the page is left by its own ``action_back``, which asks."""
        return False

    def freshen(self) -> None:
        """Look again at what there is: the place is shown anew, or a run has made something."""

    def show_runs(self, seen: RunsSeen) -> None:
        """Show what concerns this place of the runs."""
