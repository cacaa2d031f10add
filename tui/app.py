"""The terminal UI: places that share one desk to the services, one follower of runs and one table of keys."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable, Iterable
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar

from textual import work
from textual.app import SystemCommand
from textual.binding import BindingType
from textual.command import CommandPalette
from textual.events import Event, InputEvent
from textual.screen import ModalScreen, Screen
from textual.worker import get_current_worker

from appliance.domain.errors import ApplianceError
from appliance.domain.home import Home
from appliance.texts.speech import explain
from tui.follow import RunsSeen
from tui.host import HostApp
from tui.keys import KEYS, PLACES, bindings
from tui.themes import COLOURLESS, THEME_NAMES, THEMES, first_theme, is_colourless
from tui.tidying import LOOK_EVERY, Tidying
from tui.words import switch_language, t

if TYPE_CHECKING:
    from appliance.services.workbench import Workbench

SCREENS_OF_PLACES = {
    "home": "tui.screens.home:HomeScreen",
    "data": "tui.screens.data:DataScreen",
    "train": "tui.screens.train:TrainScreen",
    "runs": "tui.screens.runs:RunsScreen",
    "models": "tui.screens.models:ModelsScreen",
    "chat": "tui.screens.chat:ChatScreen",
}
"""Imported when first gone to, so that the first picture does not wait for the others."""

PARKING = "parking"
"""An empty place to stand while the others are made anew."""


def _maker(screen: str) -> Callable[[], Screen[Any]]:
    module, _, name = screen.partition(":")

    def make() -> Screen[Any]:
        made: Screen[Any] = getattr(import_module(module), name)()
        return made

    return make


class GreenwaveApp(HostApp):
    """The application."""

    CSS_PATH = "app.tcss"
    TITLE = "Greenwave"
    MODES: ClassVar[dict[str, str | Callable[[], Screen[Any]]]] = {
        PARKING: Screen,
        **{place: _maker(name) for place, name in SCREENS_OF_PLACES.items()},
    }
    BINDINGS: ClassVar[list[BindingType]] = [*bindings("app")]
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (110, "-wide")]  # noqa: RUF012  # Textual declares it as an instance's

    def __init__(self, home: Home | None = None, *, resumes: bool = False) -> None:
        """``resumes``: go on with interrupted runs at the start."""
        super().__init__(home)
        self._resumes = resumes
        self._tidying = Tidying()

    def on_mount(self) -> None:
        """Show the first place and begin to follow the runs."""
        if threading.current_thread() is threading.main_thread():
            # Told to end, as by the container's supervisor, it leaves a terminal that can be used, and a model's server that has ended.
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self.exit)
        for theme in (*THEMES, COLOURLESS):
            self.register_theme(theme)
        self.theme = first_theme()
        self._tidying.begin()
        self.set_interval(LOOK_EVERY, self._tidying.tidy)
        self.switch_mode("home")
        self.look_at_runs()

    def on_unmount(self) -> None:
        """Let the desk go."""
        self._tidying.end()
        self.desk.close()

    async def on_event(self, event: Event) -> None:
        """Note that somebody is at work."""
        if isinstance(event, InputEvent):
            self._tidying.key_came()
        await super().on_event(event)

    def tell(self, error: ApplianceError) -> None:
        """Say what went wrong and what to do about it."""
        from tui.screens.trouble import TroubleScreen

        self.push_screen(TroubleScreen(error))

    @work(thread=True, exclusive=True, group="runs")
    def look_at_runs(self) -> None:
        """Follow all runs for as long as the app lives."""
        from tui.follow import follow_runs

        worker = get_current_worker()
        try:
            with self.desk.opened() as workbench:
                if self._resumes:
                    self._resume(workbench)
                follow_runs(workbench, self.post_message, lambda: worker.is_cancelled)
        except ApplianceError as error:
            self.call_from_thread(self.tell, error)

    def _resume(self, workbench: Workbench) -> None:
        resumed, refused = workbench.runs.resume_interrupted()
        if resumed:
            self.call_from_thread(self.notify, t("runs.resumed_at_start", runs=", ".join(run.name for run in resumed)))
        for run, error in refused:
            reason = explain(error)[0]
            self.call_from_thread(self.notify, t("runs.not_resumed_at_start", run=run.name, reason=reason), severity="warning")

    def on_runs_seen(self, message: RunsSeen) -> None:
        """Pass the runs on to whoever shows them."""
        self.runs_seen = message
        self.runs_signal.publish(message)

    def action_go(self, place: str) -> None:
        """Go to a place, or open the help."""
        if place == "help":
            from tui.screens.help import HelpScreen
            from tui.widgets.recipe_form import RecipeField

            if not isinstance(self.screen, HelpScreen):
                field = next((one for one in self.focused.ancestors if isinstance(one, RecipeField)), None) if self.focused else None
                self.push_screen(HelpScreen(self.current_mode, field.explanation if field else "", getattr(self.screen, "PAGE", "")))
        elif place != self.current_mode:
            self.switch_mode(place)
        else:
            self._back_to_place()

    def _back_to_place(self) -> None:
        """Leave the pages opened from a place, such as a run's or the help; a dialog stays, with what was typed into it."""
        while len(self.screen_stack) > 1 and not isinstance(self.screen, ModalScreen):
            if getattr(self.screen, "holds_work", False):
                self.call_next(self.run_action, "screen.back")
                return
            self.pop_screen()

    async def action_switch_language(self) -> None:
        """Speak the other language: every place is made anew."""
        here = self.current_mode
        switch_language()
        await self.switch_mode(PARKING)
        for place, name in SCREENS_OF_PLACES.items():
            await self.remove_mode(place)
            self.add_mode(place, _maker(name))
        self.switch_mode(here if here in SCREENS_OF_PLACES else "home")

    def action_switch_theme(self) -> None:
        """Light, dark, high contrast, terminal's own colours, and round again."""
        if not is_colourless():
            self.theme = THEME_NAMES[(THEME_NAMES.index(self.theme) + 1) % len(THEME_NAMES)]

    @work(exclusive=True, group="selftest-question")
    async def action_selftest(self) -> None:
        """Test the appliance itself; a question first, because it takes a minute."""
        from tui.screens.confirm import ConfirmScreen
        from tui.screens.selftest import SelftestScreen

        if await self.push_screen_wait(ConfirmScreen(t("selftest.question"), t("selftest.consequence"), t("selftest.yes"))):
            await self.push_screen(SelftestScreen())

    def action_command_palette(self) -> None:
        """Everything that can be done, to be found by its words."""
        if not isinstance(self.screen, CommandPalette):
            self.push_screen(CommandPalette(placeholder=t("palette.placeholder"), id="--command-palette"))

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """Places and the app's own actions for the palette."""
        for place, _ in PLACES:
            yield SystemCommand(t(f"keys.{place}"), t(f"key_help.{place}"), self._doing(f"go('{place}')"))
        for key in KEYS["app"]:
            if key.id not in dict(PLACES) and key.id != "palette":
                yield SystemCommand(t(f"keys.{key.id}"), t(f"key_help.{key.id}"), self._doing(key.action))
        yield SystemCommand(t("keys.selftest"), t("key_help.selftest"), self._doing("selftest"))

    def _doing(self, action: str) -> Callable[[], None]:
        def do() -> None:
            self.call_next(self.run_action, action)

        return do
