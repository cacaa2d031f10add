"""What a screen shows as text, and waiting for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from textual.app import App
from textual.pilot import Pilot

from appliance.domain.home import Home
from tui.app import GreenwaveApp

Story = Callable[[Pilot[Any]], Coroutine[Any, Any, None]]


def play(home: Home, story: Story, size: tuple[int, int] = (80, 24), *, resumes: bool = False) -> GreenwaveApp:
    """Run the app headless while ``story`` presses its keys."""
    app = GreenwaveApp(home, resumes=resumes)

    async def played() -> None:
        async with app.run_test(size=size, notifications=True) as pilot:
            await pilot.pause()
            await story(pilot)

    asyncio.run(played())
    return app


def seen(app: App[Any]) -> str:
    """What is on the screen, as text."""
    compositor = app.screen._compositor  # Textual offers pictures only; a text can be compared and read
    return "\n".join("".join(segment.text for segment in strip).rstrip() for strip in compositor.render_strips()).rstrip() + "\n"


async def until_seen(pilot: Pilot[Any], text: str, attempts: int = 200) -> str:
    """Wait until a text is on the screen; what is there then."""
    for _ in range(attempts):
        await pilot.pause(0.05)
        if text in seen(pilot.app):
            return seen(pilot.app)
    raise AssertionError(f"{text!r} never appeared:\n{seen(pilot.app)}")
