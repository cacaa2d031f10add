"""Themes: dark, light, high contrast, one that uses the terminal's own sixteen colours, and one that needs none."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace

from textual.theme import BUILTIN_THEMES, Theme

THEMES = (
    Theme(
        "greenwave-dark", primary="#3fb68b", secondary="#5aa9e6", accent="#e6b450", warning="#e6b450", error="#f07178", success="#3fb68b",
        foreground="#d8dee4", background="#12181b", surface="#182024", panel="#203036", dark=True,
    ),
    Theme(
        "greenwave-light", primary="#0b7a55", secondary="#1c5fa8", accent="#9a6700", warning="#9a6700", error="#b3261e", success="#0b7a55",
        foreground="#1c2326", background="#f6f8f7", surface="#ffffff", panel="#e4ece8", dark=False,
        variables={"panel-lighten-2": "#768d82"},  # borders of panels; lighter than what is light already they would not be seen
    ),
    Theme(
        "greenwave-contrast", primary="#ffff00", secondary="#00ffff", accent="#ffffff", warning="#ffff00", error="#ff8080",
        success="#00ff00", foreground="#ffffff", background="#000000", surface="#000000", panel="#202020", dark=True,
        variables={"panel-lighten-2": "#ffffff", "text-muted": "auto 87%"},
    ),
)  # fmt: skip
"""Those of our own."""

TERMINALS_OWN = "ansi-dark"
"""Textual's theme of the terminal's own sixteen colours."""

THEME_NAMES = (*(theme.name for theme in THEMES), TERMINALS_OWN)
"""In the order in which one key goes through them."""

COLOURLESS = replace(
    BUILTIN_THEMES[TERMINALS_OWN],
    name="greenwave-colourless",
    variables={
        **BUILTIN_THEMES[TERMINALS_OWN].variables,
        "block-cursor-text-style": "bold reverse",
        "block-cursor-blurred-text-style": "underline",
        "button-focus-text-style": "bold reverse",
        "input-cursor-text-style": "reverse",
    },
)
"""Where one is, is shown by reversed characters; for terminals that were told to be without colours."""

_SIXTEEN_COLOURS = ("linux", "vt100", "vt220", "ansi", "dumb", "xterm-16color")


def is_colourless(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether somebody has asked for no colours (https://no-color.org)."""
    return bool(environment.get("NO_COLOR"))


def first_theme(environment: Mapping[str, str] = os.environ) -> str:
    """The terminal's own colours where there are only sixteen, none where none are wanted, else the dark theme."""
    if is_colourless(environment):
        return COLOURLESS.name
    return TERMINALS_OWN if environment.get("TERM", "") in _SIXTEEN_COLOURS else THEMES[0].name
