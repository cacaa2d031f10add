"""Every key of the terminal UI in one table: bindings, the bar at the bottom, the help and the README's list are made from it.

A key's words are in the locales: ``keys.ID`` is its label, ``key_help.ID`` says what it does.
"""

from __future__ import annotations

from dataclasses import dataclass

from textual.binding import Binding


@dataclass(frozen=True)
class Key:
    """One action and the keys that start it."""

    id: str
    keys: str
    """In Textual's names, several with commas; the first is the one that is shown."""
    action: str
    is_shown: bool = True
    """Whether the bar at the bottom names it; the help always does."""
    wins: bool = False
    """Whether it works even while somebody is typing into a field."""


PLACES: tuple[tuple[str, str], ...] = (
    ("home", "f2"),
    ("data", "f3"),
    ("train", "f4"),
    ("runs", "f5"),
    ("models", "f6"),
    ("chat", "f7"),
    ("help", "f1"),
)
"""The places, each with its key; they work everywhere."""

KEYS: dict[str, tuple[Key, ...]] = {
    "app": (
        *(Key(place, key, f"go('{place}')", is_shown=False, wins=True) for place, key in PLACES),
        Key("palette", "ctrl+p", "command_palette", wins=True),
        Key("language", "f9", "switch_language", is_shown=False, wins=True),
        Key("theme", "f10", "switch_theme", is_shown=False, wins=True),
        Key("quit", "ctrl+q", "quit", wins=True),
    ),
    "dialog": (Key("close", "escape", "dismiss(None)"),),
    "chat": (
        Key("stop", "escape", "stop"),
        Key("retry", "ctrl+r", "retry"),
        Key("edit_last", "ctrl+e", "edit_last", wins=True),
        Key("copy", "ctrl+y", "copy"),
        Key("side_by_side", "ctrl+t", "side_by_side"),
        Key("new", "ctrl+n", "new"),
        Key("earlier", "ctrl+o", "earlier"),
        Key("settings", "ctrl+s", "settings"),
    ),
    "earlier": (Key("remove", "delete", "remove"),),
    "data": (
        Key("open_dataset", "enter", "open"),
        Key("import_file", "i", "import_file"),
        Key("clean", "c", "clean"),
        Key("redact", "p", "redact"),
        Key("review", "v", "review"),
        Key("check", "k", "check"),
        Key("split", "s", "split"),
        Key("mix", "m", "mix"),
        Key("remove", "delete", "remove"),
    ),
    "dataset": (
        Key("back", "escape", "back"),
        Key("rejected", "r", "toggle_rejected"),
        Key("tokens", "t", "toggle_tokens"),
        Key("describe", "d", "toggle_description"),
    ),
    "help": (
        Key("back", "escape", "back"),
        Key("selftest", "t", "app.selftest"),
    ),
    "home": (Key("demo", "d", "demo"),),
    "models": (
        Key("lineage", "enter", "lineage"),
        Key("import_model", "i", "import_model"),
        Key("export", "e", "export"),
        Key("compare", "m", "compare"),
        Key("verify", "v", "verify"),
        Key("remove", "delete", "remove"),
    ),
    "review": (
        Key("back", "escape", "back"),
        Key("replace", "r", "replace"),
        Key("keep", "k", "keep"),
        Key("undo", "u", "undo"),
        Key("apply", "a", "apply"),
    ),
    "runs": (
        Key("open", "enter", "open"),
        Key("cancel_run", "c", "cancel_run"),
        Key("resume_run", "r", "resume_run"),
    ),
    "run": (
        Key("back", "escape", "back"),
        Key("cancel_run", "c", "cancel_run"),
        Key("resume_run", "r", "resume_run"),
        Key("next_curve", "tab,n", "next_curve"),
        Key("log", "l", "toggle_log"),
    ),
    "selftest": (Key("back", "escape", "back"),),
    "train": (
        Key("step_back", "escape", "step_back"),
        Key("expert", "f8", "expert"),
    ),
}


def bindings(place: str) -> list[Binding]:
    """Textual's bindings of a place. Their description is the key's id: the bar looks its words up when it draws."""
    return [
        Binding(key.keys, key.action, key.id, show=key.is_shown, priority=key.wins, id=f"{place}.{key.id}", system=False)
        for key in KEYS[place]
    ]
