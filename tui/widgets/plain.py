"""Text that is only text: no markup in it is obeyed, nothing in it reaches the terminal as a command."""

from __future__ import annotations

from typing import Any

from rich.text import Text
from textual.content import Content
from textual.widgets import Static

from appliance.texts.foreign import printable_lines


def harmless(text: str) -> str:
    """Foreign text without what a terminal would obey or what would turn its reading order; line breaks stay."""
    return printable_lines(text)


def cell(text: str) -> Text:
    """Text for a table or tree, which would read markup in a string."""
    return Text(harmless(text), no_wrap=True)


class Plain(Static):
    """A Static that shows foreign text as it is written."""

    def __init__(self, text: str | Content = "", **options: Any) -> None:
        super().__init__(_safe(text), markup=False, **options)

    def show(self, text: str | Content) -> None:
        """Show another text."""
        self.update(_safe(text))


def _safe(text: str | Content) -> str | Content:
    return harmless(text) if isinstance(text, str) else text
