"""Themes: dark, light, high contrast, and one that uses the terminal's own sixteen colours."""

from __future__ import annotations

import os
from collections.abc import Mapping

from textual.theme import Theme

THEMES = (
    Theme(
        "greenwave-dark", primary="#3fb68b", secondary="#5aa9e6", accent="#e6b450", warning="#e6b450", error="#f07178", success="#3fb68b",
        foreground="#d8dee4", background="#12181b", surface="#182024", panel="#203036", dark=True,
    ),
    Theme(
        "greenwave-light", primary="#0b7a55", secondary="#1c5fa8", accent="#9a6700", warning="#9a6700", error="#b3261e", success="#0b7a55",
        foreground="#1c2326", background="#f6f8f7", surface="#ffffff", panel="#e4ece8", dark=False,
    ),
    Theme(
        "greenwave-contrast", primary="#ffff00", secondary="#00ffff", accent="#ffffff", warning="#ffff00", error="#ff8080",
        success="#00ff00", foreground="#ffffff", background="#000000", surface="#000000", panel="#202020", dark=True,
    ),
)  # fmt: skip
"""Those of our own."""

TERMINALS_OWN = "ansi-dark"
"""Textual's theme of the terminal's own sixteen colours."""

THEME_NAMES = (*(theme.name for theme in THEMES), TERMINALS_OWN)
"""In the order in which one key goes through them."""

_SIXTEEN_COLOURS = ("linux", "vt100", "vt220", "ansi", "dumb")


def first_theme(environment: Mapping[str, str] = os.environ) -> str:
    """The terminal's own colours where there are only sixteen or none, else the dark theme."""
    poor = environment.get("NO_COLOR") or environment.get("TERM", "") in _SIXTEEN_COLOURS
    return TERMINALS_OWN if poor else THEMES[0].name
