"""The image of this checkout, built at most once per recipe, and containers as a locked-down workstation starts them.

These tests start the Docker engine themselves where they may; where none can be had they fail with the reason.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from scripts.container import building, debian, wheelhouse
from scripts.container.telling import Refused

LOCKED_DOWN = (
    "--rm", "--network=none", "--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges", "--pids-limit=512",
    "--tmpfs=/tmp", "--tmpfs=/data:uid=10001,gid=10001,mode=0750",
)  # fmt: skip
Contained = Callable[..., str]
"""Runs a program in a fresh container, with a program's text on its standard input, and gives its standard output."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give the first test that asks for the image the time in which base, wheels and image are made on a machine that has none."""
    first = next((item for item in items if "image" in getattr(item, "fixturenames", ())), None)
    if first is not None:
        first.add_marker(pytest.mark.timeout(2400), append=False)


@pytest.fixture(scope="session")
def image() -> str:
    """The tag of the processors' image of this checkout."""
    try:
        base = debian.base_image()
        folder = wheelhouse.wheelhouse("cpu", base)
        return building.build(folder, base, f"greenwave:test-{folder.name}")
    except Refused as refusal:
        pytest.fail(f"{refusal.message}\nHint: {refusal.hint}", pytrace=False)


@pytest.fixture(scope="session")
def inspected(image: str) -> dict[str, Any]:
    """What the engine says of the image."""
    told = subprocess.run(["docker", "image", "inspect", image], capture_output=True, check=True)
    facts: list[dict[str, Any]] = json.loads(told.stdout)
    return facts[0]


@pytest.fixture(scope="session")
def contained(image: str) -> Contained:
    """Runs a program of the image, without its entry point, in a locked-down container."""

    def run(program: str, *arguments: str, stdin: str = "") -> str:
        command = ["docker", "run", "--interactive", *LOCKED_DOWN, f"--entrypoint={program}", image, *arguments]
        ended = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)
        assert not ended.returncode, ended.stderr
        return ended.stdout

    return run
