"""A switch of one line whose state is a word and a sign, so that it is read without colour, too."""

from __future__ import annotations

from textual.widgets import Checkbox

from tui.words import t


class YesNo(Checkbox):
    """``▐X▌ yes`` or ``▐ ▌ no``; Enter or Space changes it."""

    def __init__(self, value: bool) -> None:
        super().__init__(_word(value), value, compact=True)
        self._draw_state()

    def watch_value(self) -> None:
        """Say the other word."""
        super().watch_value()
        self._draw_state()

    def _draw_state(self) -> None:
        self.BUTTON_INNER = "X" if self.value else " "
        self.label = _word(self.value)


def _word(value: bool) -> str:
    return t("form.yes") if value else t("form.no")
