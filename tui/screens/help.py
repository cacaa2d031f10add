"""Help: what the place at hand is for, and every key that works there."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import VerticalScroll

from tui.keys import KEYS, PLACES
from tui.keys import bindings as bindings_of
from tui.screens.place import PlaceScreen
from tui.widgets.bars import key_name
from tui.widgets.plain import Plain
from tui.words import t


class HelpScreen(PlaceScreen):
    """One page of help."""

    PLACE = "help"
    CSS_PATH = "help.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [*bindings_of("help")]

    def __init__(self, about: str, field: str = "", page: str = "") -> None:
        """``about`` is the place; ``field`` the explanation of the field that somebody was in, if it was one; ``page`` has its own keys."""
        super().__init__()
        self._page = page or about
        self._about = about
        self._field = field

    def compose_body(self) -> ComposeResult:
        """The place's purpose, its keys, the app's keys, and the words of the trade."""
        with VerticalScroll(classes="body"):
            if self._field:
                yield Plain(t("help.this_field"), classes="title")
                yield Plain(self._field, classes="text")
            yield Plain(t(f"keys.{self._about}"), classes="title")
            yield Plain(t(f"help.{self._about}"), classes="text")
            yield Plain(t("help.keys_here"), classes="title")
            yield Plain(_table(self._page), classes="text")
            yield Plain(t("help.keys_everywhere"), classes="title")
            yield Plain(_table("app"), classes="text")
            yield Plain(t("help.glossary_title"), classes="title")
            yield Plain(t("help.glossary"), classes="text")

    def action_back(self) -> None:
        """Back to where the help was asked for."""
        self.dismiss(None)


def _table(place: str) -> str:
    rows = [(key_name(key.keys), t(f"keys.{key.id}"), t(f"key_help.{key.id}")) for key in KEYS.get(place, ())]
    if place == "app":
        known = dict(PLACES)
        rows = [row for row, key in zip(rows, KEYS["app"], strict=True) if key.id in known] + [
            row for row, key in zip(rows, KEYS["app"], strict=True) if key.id not in known
        ]
    return "\n".join(f"{key:>5}  {label}: {told}" for key, label, told in rows)
