"""Pictures of the terminal UI, taken from the running app over the sample home: the same every time."""

from __future__ import annotations

import asyncio
import os
import re
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

from textual.pilot import Pilot
from textual.widgets import Input

from appliance.domain.home import Home
from appliance.services.doctor import Check
from scripts.screens.sample_home import filled_home
from tui.app import GreenwaveApp

VIEWS: dict[str, tuple[str, ...]] = {
    "home": ("f2",),
    "data": ("f3",),
    "dataset": ("f3", "enter"),
    "train": ("f4",),
    "runs": ("f5",),
    "run": ("f5", "down", "down", "enter"),
    "models": ("f6",),
    "lineage": ("f6", "down", "enter"),
    "chat": ("f7",),
    "help": ("f1",),
}
"""Name of a view → the keys that lead there."""

BOX = (
    Check("processor", "ok", "processor_found", {"cores": 16, "extensions": "avx2, avx512f"}),
    Check("memory", "ok", "memory_enough", {"total": 64_000_000_000, "available": 58_000_000_000}),
    Check("disk", "ok", "disk_enough", {"path": "/data", "free": 800_000_000_000}),
    Check("gpu", "ok", "gpu_found", {"gpu": "NVIDIA RTX 4090, 24564 MiB, 580.65"}),
    Check("offline", "ok", "switches_set", {"count": 9}),
    Check("network", "ok", "network_sealed", {"processes": 4, "interfaces": "-"}),
)
"""A made-up machine: a picture of the real one would differ from place to place."""

HOME_SHOWN = "/data"


@contextmanager
def same_everywhere(language: str) -> Iterator[Path]:
    """A sample home in a folder of a fixed name, a fixed clock zone and machine, and one language."""
    chosen = {"GREENWAVE_LANG": language, "TZ": "UTC", "NO_COLOR": "", "TERM": "xterm-256color"}
    with tempfile.TemporaryDirectory() as folder, mock.patch.dict(os.environ, chosen):
        time.tzset()
        root = Path(folder)
        filled_home(root)
        with mock.patch("appliance.services.doctor.glance_at_box", return_value=BOX):
            yield root
    time.tzset()


async def go_to(pilot: Pilot[None], view: str) -> None:
    """Press the keys that lead to a view and wait until all is drawn."""
    for key in VIEWS[view]:
        await pilot.press(key)
        await pilot.pause()
        await settled(pilot)


async def settled(pilot: Pilot[None]) -> None:
    """Wait until nothing more is being asked or drawn; the run's follower never rests, so its own worker is not waited for."""
    for field in pilot.app.screen.query(Input):
        field.cursor_blink = False  # a picture shows the cursor, whenever it is taken
    calm, before = 0, ""
    for _ in range(200):
        await pilot.pause(0.03)
        busy = any(worker.is_running for worker in pilot.app.workers if worker.group not in ("runs", "story", "gpus"))
        now = text_of(pilot)
        calm = 0 if busy or now != before else calm + 1
        before = now
        if calm >= 6:
            return


def text_of(pilot: Pilot[None]) -> str:
    """What is on the screen, as text."""
    strips = pilot.app.screen._compositor.render_strips()  # Textual offers pictures only; a text can be compared and read
    return "\n".join("".join(segment.text for segment in strip).rstrip() for strip in strips).rstrip() + "\n"


def pictures(language: str, size: tuple[int, int] = (80, 24)) -> dict[str, tuple[str, str]]:
    """Every view as (SVG, text), taken one after the other from one app."""
    with same_everywhere(language) as root:
        app = GreenwaveApp(Home(root))

        async def taken() -> dict[str, tuple[str, str]]:
            found = {}
            async with app.run_test(size=size) as pilot:
                await settled(pilot)
                for view in VIEWS:
                    await go_to(pilot, view)
                    found[view] = without_font(app.export_screenshot(title="Greenwave")), text_of(pilot).replace(str(root), HOME_SHOWN)
                    while len(app.screen_stack) > 1:
                        await pilot.press("escape")
                        await pilot.pause()
            return found

        return asyncio.run(taken())


def without_font(svg: str) -> str:
    """A picture without the font that whoever looks at it would fetch from a server."""
    return re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)
