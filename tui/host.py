"""What screens may ask of the app that shows them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from textual.app import App
from textual.signal import Signal

from appliance.domain.errors import ApplianceError
from appliance.domain.home import Home
from tui.desk import Desk
from tui.follow import RunsSeen
from tui.themes import is_colourless
from tui.widgets.plain import harmless

if TYPE_CHECKING:
    from appliance.services.workbench import Workbench

Answer = TypeVar("Answer")

ABOUT_TO_GO = 0.5
"""Seconds; more than passes between the look at a notification and its being shown."""

MASKED_SECONDS = 0.01
"""For which nothing is drawn after a change of place."""


class HostApp(App[None]):
    """An app with a desk to the services and news of the runs."""

    def __init__(self, home: Home | None = None) -> None:
        # Without colours Textual has to leave those of the terminal alone: else it makes black on black of them.
        super().__init__(ansi_color=True if is_colourless() else None)
        self.desk = Desk(home)
        self.runs_seen: RunsSeen = RunsSeen(())
        """The runs as they were seen last."""
        self.runs_signal: Signal[RunsSeen] = Signal(self, "runs-seen")
        """Screens that show runs subscribe to it."""

    async def ask(self, question: Callable[[Workbench], Answer], *, slowly: bool = False) -> Answer | None:
        """The services' answer; an error is told to the person, and None is what the caller gets."""
        try:
            return await (self.desk.ask_slowly(question) if slowly else self.desk.ask(question))
        except ApplianceError as error:
            self.tell(error)
            return None

    def notify(self, message: str, **options: Any) -> None:
        """Say something in passing; no markup in it is obeyed."""
        super().notify(harmless(message), **{**options, "markup": False})

    def _refresh_notifications(self) -> None:
        """Show what was said on the screen at hand, but for what is about to go.

        Textual 8.2.8 looks whether a notification has expired and only then asks how long to show it: one that expires in between gets a
        timer with a negative interval, which never lets go of the event loop, and the whole UI stands still.
        """
        for notification in list(self._notifications):
            if notification.time_left < ABOUT_TO_GO:
                del self._notifications[notification]
        super()._refresh_notifications()

    def delay_update(self, delay: float = MASKED_SECONDS) -> None:
        """Let a place take another's place unseen; Textual would show it after 50 ms, two thirds of what a key then takes."""
        super().delay_update(min(delay, MASKED_SECONDS))

    @abstractmethod
    def tell(self, error: ApplianceError) -> None:
        """Say what went wrong and what to do about it."""

    @abstractmethod
    def action_go(self, place: str) -> None:
        """Go to a place, or open the help."""
