"""The two lines that every place has: where one is, and which keys work."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

from appliance.texts.speech import human_duration, say
from tui.keys import KEYS, PLACES
from tui.words import t

if TYPE_CHECKING:
    from textual.screen import Screen

    from tui.follow import RunNow

KEY_NAMES = {"escape": "Esc", "enter": "⏎", "space": "␣", "tab": "Tab", "delete": "Del", "question_mark": "?", "slash": "/"}


def key_name(key: str) -> str:
    """How a key is written: ``^Q``, ``F2``, ``Esc``."""
    first = key.split(",", maxsplit=1)[0]
    if first.startswith("ctrl+"):
        return "^" + first[5:].upper()
    return KEY_NAMES.get(first, first.upper() if first.startswith("f") and first[1:].isdigit() else first)


def keys_line(*places: str) -> str:
    """``Esc close  Del remove``: the keys of a dialog that has no buttons."""
    return "  ".join(f"{key_name(key.keys)} {t(f'keys.{key.id}')}" for place in places for key in KEYS[place])


class PlacesBar(Horizontal):
    """Every place with its key, the present one marked; at the right the run that goes on."""

    DEFAULT_CSS = """
    PlacesBar { height: 1; background: $panel; }
    PlacesBar .place { width: auto; padding: 0 1; }
    PlacesBar .here { background: $primary; color: $background; text-style: $block-cursor-text-style; }
    PlacesBar #under-way { width: 1fr; text-align: right; padding: 0 1; color: $primary; text-wrap: nowrap; text-overflow: ellipsis; }
    """

    def __init__(self, here: str) -> None:
        super().__init__()
        self._here = here

    def compose(self) -> ComposeResult:
        """One label per place."""
        for place, key in PLACES:
            text = Content.assemble((key_name(key), "dim"), " ", t(f"keys.{place}")).stylize(f"@click=app.go('{place}')")
            marked = Content(f"{key_name(key)} {t(f'keys.{place}')}")
            here = place == self._here
            yield Static(marked if here else text, classes="place here" if here else "place", markup=False)
        yield Static("", id="under-way", markup=False)

    def show_going(self, going: RunNow | None) -> None:
        """Show the run that goes on."""
        if going is None:
            text = ""
        elif going.stage is None:
            text = f"◔ {t('runs.state_' + going.run.state)}"
        else:
            parts = [f"▶ {say('stages', going.stage_title)}"]
            if going.stage.share is not None:
                parts.append(f"{going.stage.share:.0%}")
            if going.stage.seconds_left is not None and going.stage.done:
                parts.append(human_duration(going.stage.seconds_left))
            text = " ".join(parts)
        self.query_one("#under-way", Static).update(text)


class KeyBar(Widget):
    """The keys that work right now, at the bottom, in the spoken language."""

    DEFAULT_CSS = """
    KeyBar { dock: bottom; height: auto; max-height: 2; background: $panel; color: $foreground; padding: 0 1; }
    """

    def on_mount(self) -> None:
        """Draw anew whenever other keys work."""
        self.screen.bindings_updated_signal.subscribe(self, self._changed)

    def _changed(self, _screen: Screen[object]) -> None:
        self.refresh(layout=True)

    def render(self) -> Content:
        """``Esc back  c cancel …``; a click does what the key does."""
        parts: list[Content] = []
        told: set[str] = set()
        for active in self.screen.active_bindings.values():
            binding = active.binding
            if not binding.show or binding.action in told or not binding.id:
                continue
            told.add(binding.action)
            words = Content(f"{key_name(binding.key)} {t('keys.' + binding.description)}")
            look = "dim" if not active.enabled else ""
            shown = words.stylize("bold", 0, len(key_name(binding.key)))
            parts.append(shown.stylize(look) if look else shown.stylize(f"@click=app.simulate_key('{binding.key}')"))
        return Content("  ").join(parts)
