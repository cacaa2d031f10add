"""One locked-down container over a folder: started as the README says, entered, stopped."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

LOCKDOWN = (
    "--read-only",
    "--cap-drop=ALL",
    "--security-opt=no-new-privileges",
    "--network=none",
    "--pids-limit=2048",
    "--tmpfs=/tmp",
    "--tmpfs=/run",
    "--stop-timeout=60",
)
"""What the README and compose.yaml say; ``--memory`` comes with the machine."""
MEMORY = "8g"
IMAGE_USER = 10001
"""Of the image, where the tests run as root."""
PATIENCE = 600.0
"""Seconds in which anything that is waited for has to happen."""


def docker(*arguments: str | Path, check: bool = True, seconds: float = PATIENCE) -> subprocess.CompletedProcess[str]:
    """A docker command; its words are in the exception when it fails and ``check`` is set."""
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, timeout=seconds, stdin=subprocess.DEVNULL, check=False)
    if check and done.returncode:
        raise RuntimeError(f"docker {' '.join(map(str, arguments))}: {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done


def owner() -> tuple[int, int]:
    """Whom a volume shall belong to: whoever runs this, but not root."""
    return (os.getuid(), os.getgid()) if os.getuid() else (IMAGE_USER, IMAGE_USER)


def owned(folder: Path) -> Path:
    """The folder, made if need be, with all in it given to ``owner``."""
    folder.mkdir(parents=True, exist_ok=True)
    if not os.getuid():
        for place in (folder, *folder.rglob("*")):
            os.chown(place, *owner(), follow_symlinks=False)
    return folder


@dataclass
class Box:
    """A container of ``image`` whose /data is ``home``; removed at the end of the block."""

    image: str
    home: Path | None
    options: Sequence[str] = ()
    """More of ``docker run``; a later one wins over ours."""
    name: str = field(default_factory=lambda: f"greenwave-{os.getpid()}-{time.monotonic_ns()}")
    lockdown: Sequence[str] = LOCKDOWN

    def command(self, *arguments: str, run: Sequence[str] = ()) -> list[str]:
        """The words of ``docker run`` after ``docker``."""
        data = [f"--volume={self.home}:/data"] if self.home is not None else []
        user = [f"--user={owner()[0]}:{owner()[1]}"] if self.home is not None else []
        memory = [f"--memory={MEMORY}", f"--memory-swap={MEMORY}"]
        return ["run", f"--name={self.name}", *self.lockdown, *memory, *user, *data, *self.options, *run, self.image, *arguments]

    def run(self, *arguments: str, run: Sequence[str] = ("--rm",)) -> subprocess.CompletedProcess[str]:
        """A container for one command, and what came of it."""
        return docker(*self.command(*arguments, run=run), check=False)

    def start(self, *arguments: str) -> None:
        """Start it in the background; without arguments it keeps the appliance there."""
        docker(*self.command(*arguments, run=("--detach", "--env=GREENWAVE_LANG=en")))

    def greenwave(self, *arguments: str) -> str:
        """Standard output of a command inside."""
        return docker("exec", self.name, "greenwave", *arguments).stdout.strip()

    def begin(self, *arguments: str) -> None:
        """Start a command inside and leave it there."""
        docker("exec", "--detach", self.name, "greenwave", *arguments)

    def stop(self) -> float:
        """``docker stop``; the seconds it took."""
        begun = time.monotonic()
        docker("stop", self.name)
        return time.monotonic() - begun

    def restart(self) -> None:
        """Start it again after a stop, as a restarted machine does."""
        docker("start", self.name)

    def state(self) -> dict[str, Any]:
        """What the engine knows about it."""
        found: dict[str, Any] = json.loads(docker("inspect", self.name).stdout)[0]
        return found

    def logs(self) -> str:
        """Everything that its first process has printed."""
        told = docker("logs", self.name)
        return told.stdout + told.stderr

    def remove(self) -> None:
        """Away with it, whatever it does."""
        docker("rm", "--force", "--volumes", self.name, check=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.remove()
