"""The Docker engine: asked through its own command, and started where none runs, this machine has one and we may."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from scripts.container.shelf import cache
from scripts.container.telling import Refused, call, say

DAEMON = ("dockerd", "--iptables=false", "--bridge=none")
"""Without networks of its own, since no container of ours has one; so it runs where a firewall may not be touched."""
READY_WITHIN = 60.0
"""Seconds in which a daemon has to answer after its start."""
INSTALL = "install one (Debian, Ubuntu: sudo apt install docker.io)"


def require_engine() -> None:
    """Return when an engine answers; start one if need be. Refused with the reason where that cannot be done."""
    if not shutil.which("docker"):
        raise Refused("There is no docker command on this machine.", f"{INSTALL}.")
    if answers():
        return
    daemon = shutil.which(DAEMON[0], path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if daemon is None:
        raise Refused("No Docker engine answers, and there is none on this machine to start.", f"{INSTALL}, or set DOCKER_HOST.")
    if os.geteuid():
        raise Refused(
            "No Docker engine answers, and only root may start one.",
            "start it (sudo systemctl start docker), see that you belong to the group docker, or run this as root.",
        )
    start(daemon)


def answers() -> bool:
    """Whether an engine can be spoken to."""
    return not subprocess.run(["docker", "info"], capture_output=True, check=False, stdin=subprocess.DEVNULL).returncode


def start(daemon: str) -> None:
    """Start the engine in a session of its own, so that it outlives this command, and wait until it answers."""
    folder = cache()
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "dockerd.log"
    with (folder / "dockerd.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if answers():
            return
        say(f"starting a Docker engine, which writes {log}")
        with log.open("ab") as kept:
            command = [daemon, *DAEMON[1:]]
            child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=kept, stderr=kept, start_new_session=True)
        until = time.monotonic() + READY_WITHIN
        while not answers():
            if child.poll() is not None or time.monotonic() > until:
                words = log.read_text("utf-8", "replace").strip().splitlines() or ["nothing"]
                child.kill()
                raise Refused(f"The Docker engine did not start; its last words: {words[-1]}", f"the whole log is {log}.")
            time.sleep(0.5)


def docker(arguments: Sequence[str | Path], problem: str, hint: str = "the engine's own words are above.") -> str:
    """The standard output of a docker command; Refused with this sentence when it fails."""
    return call(["docker", *arguments], problem, hint)


def require_image(name: str) -> None:
    """Return when the engine has an image of this name; Refused with what makes one where it has not."""
    require_engine()
    if not has_image(name):
        raise Refused(
            f"The engine has no image {name}.", "scripts/image build makes greenwave, scripts/image build cuda greenwave:cuda.", 2
        )


def has_image(name: str) -> bool:
    """Whether the engine knows an image of this name."""
    return not subprocess.run(["docker", "image", "inspect", name], capture_output=True, check=False).returncode
