"""A question before something that cannot be undone."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Button

from tui.keys import bindings
from tui.widgets.plain import Plain
from tui.words import t


class ConfirmScreen(ModalScreen[bool | None]):
    """Yes or no; the harmless answer has the focus."""

    CSS_PATH = "dialogs.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [*bindings("dialog")]

    def __init__(self, question: str, consequence: str, yes: str) -> None:
        super().__init__()
        self._question = question
        self._consequence = consequence
        self._yes = yes

    def compose(self) -> ComposeResult:
        """The box in the middle."""
        with Vertical(classes="dialog"):
            yield Plain(self._question, classes="message")
            yield Plain(self._consequence, classes="hint")
            with Horizontal(classes="buttons"):
                yield Plain(t("dialog.short_keys"), classes="keys quiet")
                yield Button(t("dialog.no"), id="no", compact=True)
                yield Button(self._yes, id="yes", variant="error", compact=True)

    def on_mount(self) -> None:
        """Enter pressed in haste changes nothing."""
        self.query_one("#no", Button).focus()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """The answer."""
        self.dismiss(event.button.id == "yes")
