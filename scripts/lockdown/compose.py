"""Docker Compose, for the tests of compose.yaml: the engine's plugin where it has one, else Debian's, kept beside the images' parts."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from scripts.container.debian import SUITE, base_image, run_connected
from scripts.container.engine import require_engine
from scripts.container.shelf import hash_of, shelf
from scripts.container.telling import say

COMPOSE_SUITE = "trixie"
"""The first Debian with Compose 2; its program asks for no newer C library than the base's suite has."""
ROOM = 200 << 20


def compose_command() -> list[str]:
    """The words that run Docker Compose 2. Raises ``Refused`` where there is none and no Debian mirror can be reached."""
    require_engine()
    if not subprocess.run(["docker", "compose", "version"], capture_output=True, check=False, stdin=subprocess.DEVNULL).returncode:
        return ["docker", "compose"]
    return [str(shelf("compose", hash_of([COMPOSE_SUITE, "form 1"]), ROOM, _fetch) / "usr/libexec/docker/cli-plugins/docker-compose")]


def _fetch(folder: Path) -> None:
    base = base_image()
    say(f"fetching Docker Compose for {base}")
    steps = (
        f"sed -i s/{SUITE}/{COMPOSE_SUITE}/ /etc/apt/sources.list && apt-get --quiet update && cd /tmp && "
        f"apt-get --quiet download docker-compose && dpkg -x docker-compose_*.deb /out && chown -R {os.getuid()}:{os.getgid()} /out"
    )
    run_connected(base, f"{folder}:/out", steps, "Docker Compose could not be fetched.")
