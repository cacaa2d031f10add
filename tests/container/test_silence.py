"""The image keeps to itself: a model's life in a locked-down container without a network, and no host in it that nobody has allowed."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.container.conftest import LOCKED_DOWN

pytestmark = [pytest.mark.docker, pytest.mark.timeout(1800)]

SCRIPTS = Path(__file__).parents[2] / "scripts"
SCAN = ("--volume", f"{SCRIPTS}:/scan:ro", "--user=0", "--entrypoint=python3")


def docker(*arguments: str) -> subprocess.CompletedProcess[str]:
    """A command of the engine to its end."""
    return subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False)


def test_a_model_lives_in_a_container_without_network(image: str) -> None:
    """In a network namespace of its own the self-test passes, the kernel has refused no attempt, and every file is as it was installed."""
    ended = docker("run", *LOCKED_DOWN, image, "selftest", "--json")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    sheet: dict[str, Any] = json.loads(ended.stdout)
    assert (sheet["network"]["interfaces"], sheet["network"]["refused"], sheet["network"]["sent"]) == ([], 0, 0)
    states = {check["name"]: check["state"] for check in sheet["checks"]}
    wanted = ("files", "training", "export", "chat", "attempts", "connections", "kernel", "switches", "traces")
    assert {name: states[name] for name in wanted} == dict.fromkeys(wanted, "ok")


def test_every_host_in_the_image_is_known(image: str) -> None:
    """All binaries and Python files of the image name only hosts that the allow-list has a reason for; one more file with another fails."""
    ended = docker("run", "--rm", "--network=none", *SCAN, image, "/scan/scan-urls", "/")
    assert (ended.returncode, ended.stdout.strip()) == (0, ""), ended.stdout + ended.stderr
    assert int(ended.stderr.split()[0]) > 500
