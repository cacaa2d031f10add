"""Terminals with few colours or none: every state can still be read."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from textual.color import Color
from textual.pilot import Pilot
from textual.theme import Theme

from appliance.domain.home import Home
from scripts.screens.sample_home import filled_home
from scripts.screens.terminal import Terminal
from tests.tui.support import play, until_seen
from tui.screens.recipe_dialog import RecipeDialog
from tui.themes import COLOURLESS, TERMINALS_OWN, THEMES, first_theme
from tui.words import t

COLOUR = re.compile(rb"\x1b\[(?:\d+;)*(?:3[0-8]|4[0-8]|9[0-7]|10[0-7])[;m]")


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"TERM": "xterm-256color"}, THEMES[0].name),
        ({"TERM": "linux"}, TERMINALS_OWN),
        ({"TERM": "xterm-16color"}, TERMINALS_OWN),
        ({"TERM": "xterm-256color", "NO_COLOR": "1"}, COLOURLESS.name),
        ({"TERM": "xterm-256color", "NO_COLOR": ""}, THEMES[0].name),
    ],
)
def test_the_first_theme_suits_the_terminal(environment: dict[str, str], expected: str) -> None:
    """The terminal's own colours where there are sixteen, none where none are wanted."""
    assert first_theme(environment) == expected


def test_without_colours_none_is_sent_and_the_place_is_reversed(tmp_path: Path) -> None:
    """With NO_COLOR the terminal gets no colour at all; the place, the row and the field where one is are reversed."""
    filled_home(tmp_path)
    with Terminal(tmp_path, (80, 24), {"NO_COLOR": "1"}) as terminal:
        terminal.wait_for("首页")
        terminal.press(b"\x1bOR")
        terminal.wait_for("250")
        terminal.settle()
        written = bytes(terminal.written)
    assert COLOUR.findall(written) == []
    assert re.search(rb"\x1b\[(?:\d+;)*7(?:;\d+)*m[^\x1b]*" + "数据".encode(), written)
    assert re.search(rb"\x1b\[(?:\d+;)*7(?:;\d+)*m ?records", written)


def test_the_field_where_one_is_stands_out(tmp_path: Path) -> None:
    """A list of one line has no border: the chosen one is drawn like any other cursor, and only that one."""

    async def story(pilot: Pilot[Any]) -> None:
        await pilot.app.push_screen(RecipeDialog("x", "name", ("export",)))
        await until_seen(pilot, t("dialog.start"))
        first, second = list(pilot.app.screen.query("RecipeField Select"))[:2]
        first.focus()
        await pilot.pause()
        chosen, other = (select.query_one("SelectCurrent").styles.background for select in (first, second))
        assert chosen.a == 1
        assert chosen != other

    play(Home(tmp_path), story)


@pytest.mark.parametrize("theme", THEMES, ids=lambda theme: theme.name)
def test_panels_are_seen_in_every_theme(theme: Theme, tmp_path: Path) -> None:
    """What frames a panel differs from the ground, by the 3 : 1 that WCAG asks of what is no text; the dark theme may be quieter."""

    async def story(pilot: Pilot[Any]) -> None:
        pilot.app.theme = theme.name
        await pilot.pause()
        panel = pilot.app.screen.query(".panel").first()
        _, colour = panel.styles.border.top
        ratio = contrast(colour, pilot.app.screen.styles.background)
        assert ratio >= (1.5 if theme.name == "greenwave-dark" else 3)

    play(filled_home(tmp_path), story)


def contrast(one: Color, other: Color) -> float:
    """The ratio of two colours' luminances by WCAG 2.2, 1 to 21."""
    darker, lighter = sorted(luminance(colour) for colour in (one, other))
    return (lighter + 0.05) / (darker + 0.05)


def luminance(colour: Color) -> float:
    """Relative luminance by WCAG 2.2, 0 to 1."""
    parts = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in colour.normalized]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]
