"""How states, moments and figures are written."""

from __future__ import annotations

import time

_MARKS = {"queued": "◔", "running": "▶", "done": "✔", "failed": "✘", "cancelled": "■", "interrupted": "‖", "pending": "·"}


def mark_of(state: str) -> str:
    """A sign for a state, so that colour is never the only one."""
    return _MARKS.get(state, "·")


def mark_of_check(state: str) -> str:
    """A sign for one of the doctor's findings."""
    return {"ok": "✔", "warning": "!", "failed": "✘"}[state]


def moment(seconds: float | None) -> str:
    """Local time, ``11-21 15:30``; nothing for None."""
    return "" if seconds is None else time.strftime("%m-%d %H:%M", time.localtime(seconds))


def figure(name: str, value: float) -> str:
    """A metric's value with as many digits as are of use."""
    if name.endswith("per_second"):
        return f"{value:,.0f}"
    if name == "learning_rate":
        return f"{value:.2e}"
    return f"{value:.4f}" if abs(value) < 100 else f"{value:,.1f}"


def bar(share: float, width: int) -> str:
    """``████░░░░``."""
    filled = round(max(0.0, min(1.0, share)) * width)
    return "█" * filled + "░" * (width - filled)
