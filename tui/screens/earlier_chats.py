"""Earlier chats: gone on with, or removed."""

from __future__ import annotations

from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from tui.host import HostApp
from tui.keys import bindings
from tui.screens.confirm import ConfirmScreen
from tui.widgets.bars import keys_line
from tui.widgets.plain import Plain, harmless
from tui.widgets.states import moment
from tui.words import t


class EarlierChatsScreen(ModalScreen[str | None]):
    """The list; the chosen chat's id is the answer."""

    CSS_PATH = "dialogs.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [*bindings("dialog"), *bindings("earlier")]

    app: HostApp

    def compose(self) -> ComposeResult:
        """A list in the middle."""
        with Vertical(classes="dialog") as box:
            box.border_subtitle = keys_line("earlier", "dialog")
            yield Plain(t("chat.earlier"), classes="message")
            yield OptionList(id="chats", markup=False)

    def on_mount(self) -> None:
        """Fill it."""
        self.fill()

    @work(exclusive=True)
    async def fill(self) -> None:
        """The newest chats first."""
        chats = await self.app.ask(lambda workbench: workbench.chats.newest())
        options = self.query_one(OptionList)
        options.clear_options()
        options.add_options([Option(f"{moment(chat.changed)}  {harmless(chat.title)}", id=chat.id) for chat in chats or ()])
        if chats:
            options.highlighted = 0
        else:
            options.add_option(Option(t("chat.none_yet"), disabled=True))
        options.focus()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Go on with it."""
        self.dismiss(event.option.id)

    def action_remove(self) -> None:
        """Forget the chosen chat, after a question."""
        options = self.query_one(OptionList)
        if options.highlighted is None or (chat_id := options.get_option_at_index(options.highlighted).id) is None:
            return

        async def answered(sure: bool | None) -> None:
            if sure:
                await self.app.ask(lambda workbench: workbench.chats.remove(chat_id))
                self.fill()

        self.app.push_screen(ConfirmScreen(t("chat.remove_question"), t("chat.remove_consequence"), t("chat.remove_yes")), answered)
