"""Ask for a name."""

from __future__ import annotations

import re
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input

from tui.keys import bindings
from tui.widgets.bars import keys_line
from tui.widgets.plain import Plain
from tui.words import t


class NamingScreen(ModalScreen[str | None]):
    """One field; Enter takes it."""

    CSS_PATH = "dialogs.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [*bindings("dialog")]

    def __init__(self, title: str, suggestion: str = "") -> None:
        super().__init__()
        self._title = title
        self._suggestion = suggested_name(suggestion)

    def compose(self) -> ComposeResult:
        """Title and field."""
        with Vertical(classes="dialog") as box:
            box.border_subtitle = keys_line("dialog")
            yield Plain(self._title, classes="message")
            yield Input(self._suggestion, id="name")
            yield Plain(t("form.name_rule"), classes="hint")

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """The name."""
        self.dismiss(event.value.strip() or None)


def suggested_name(wanted: str) -> str:
    """Something like a file's name that is allowed as a name here."""
    return re.sub(r"[^\w.-]+", "-", wanted).strip("-._")[:40].strip("-._")
