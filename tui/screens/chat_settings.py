"""How the models are asked: system prompt and sampling."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import msgspec
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.screen import ModalScreen
from textual.validation import Number
from textual.widgets import Button, Input, Label, TextArea

from appliance.services.chat import Sampling
from tui.keys import bindings
from tui.widgets.plain import Plain
from tui.words import t


@dataclass(frozen=True)
class ChatSettings:
    """What the person has chosen."""

    system: str
    sampling: Sampling


_BOUNDS = {"temperature": (0.0, 2.0), "top_p": (0.01, 1.0), "max_tokens": (1, 1_000_000), "seed": (0, 2**31 - 1)}


class ChatSettingsScreen(ModalScreen[ChatSettings | None]):
    """A form; what is out of its range is said, and nothing is taken over until all is well."""

    CSS_PATH = "dialogs.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [*bindings("dialog")]

    def __init__(self, settings: ChatSettings) -> None:
        super().__init__()
        self._settings = settings

    def compose(self) -> ComposeResult:
        """System prompt, then one field per setting."""
        with VerticalScroll(classes="dialog", can_focus=False):
            yield Label(t("chat.system"), markup=False)
            yield TextArea(self._settings.system, id="system")
            for name, (low, high) in _BOUNDS.items():
                yield Label(t(f"chat.{name}", low=low, high=high), markup=False)
                value = getattr(self._settings.sampling, name)
                field = Input(
                    "" if value is None else f"{value:g}", id=name, compact=True, validators=[Number(low, high)], valid_empty=name == "seed"
                )
                field.tooltip = t(f"chat.{name}_help")
                yield field
            with Horizontal(classes="buttons"):
                yield Plain(t("dialog.short_keys"), classes="keys quiet")
                yield Button(t("dialog.no"), id="no", compact=True)
                yield Button(t("dialog.take"), id="take", variant="primary", compact=True)

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Take it over if every field is well."""
        if event.button.id == "no":
            self.dismiss(None)
            return
        fields = {name: self.query_one(f"#{name}", Input) for name in _BOUNDS}
        if not all(field.is_valid for field in fields.values()):
            self.app.notify(t("chat.out_of_range"), severity="error")
            return
        values = {name: float(field.value) if field.value else None for name, field in fields.items()}
        whole = {name: None if (value := values[name]) is None else int(value) for name in ("max_tokens", "seed")}
        sampling = msgspec.convert({"temperature": values["temperature"], "top_p": values["top_p"], **whole}, Sampling)
        self.dismiss(ChatSettings(self.query_one(TextArea).text.strip(), sampling))
