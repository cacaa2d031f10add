"""What went wrong, and what to do about it."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Button

from appliance.domain.errors import ApplianceError
from appliance.texts.speech import explain
from tui.command_keys import in_keys
from tui.keys import bindings
from tui.widgets.bars import keys_line
from tui.widgets.plain import Plain
from tui.words import t


class TroubleScreen(ModalScreen[None]):
    """One sentence, one hint, one key to go on."""

    CSS_PATH = "dialogs.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [*bindings("dialog")]

    def __init__(self, error: ApplianceError) -> None:
        super().__init__()
        self.message, self.hint = map(in_keys, explain(error))

    def compose(self) -> ComposeResult:
        """The box in the middle."""
        with Vertical(classes="dialog trouble") as box:
            box.border_subtitle = keys_line("dialog")
            yield Plain(f"✘ {self.message}", classes="message")
            if self.hint:
                yield Plain(f"{t('dialog.hint')} {self.hint}", classes="hint")
            yield Button(t("dialog.understood"), id="understood", compact=True)

    def on_button_pressed(self) -> None:
        """Go back."""
        self.dismiss(None)
