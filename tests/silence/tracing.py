"""Running a program in a network namespace that has nothing in it, under ``strace``, and judging what it asked of the network."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

_CALL = re.compile(r"^(?P<pid>\d+)\s+(?P<call>\w+)\((?P<rest>.*)$")
_FAMILY = re.compile(r"\b(AF_[A-Z0-9_]+)")
_UNIX_PATH = re.compile(r'sun_path=(@?"[^"]*")')


class Traced:
    """A program that has ended, and the lines of its record."""

    def __init__(self, outcome: subprocess.CompletedProcess[str], record: Path) -> None:
        self.outcome = outcome
        self.lines = record.read_text("utf-8", "replace").splitlines()

    @property
    def foreign(self) -> list[str]:
        """Calls that name any address family but that of UNIX sockets: each would be a way to another machine, DNS among them."""
        return [line for line in self.lines if any(family not in ("AF_UNIX", "AF_UNSPEC") for family in self._families(line))]

    @property
    def unix_paths(self) -> set[str]:
        """Sockets of this machine that were connected to or listened at."""
        return {path for line in self.lines for path in _UNIX_PATH.findall(line)}

    @property
    def processes(self) -> int:
        """Processes and threads that made a call of the network at all."""
        return len({found["pid"] for line in self.lines if (found := _CALL.match(line))})

    @staticmethod
    def _families(line: str) -> list[str]:
        found = _CALL.match(line)
        return _FAMILY.findall(found["rest"]) if found else []


def empty_namespace() -> list[str]:
    """The command that runs another one where there is no network; fails with the reason where there cannot be one."""
    if shutil.which("strace") is None:
        pytest.fail("strace is not installed: sudo apt install strace", pytrace=False)
    tried = []
    for command in (["unshare", "--net"], ["unshare", "--map-root-user", "--net"]):
        made = subprocess.run([*command, "true"], capture_output=True, text=True, check=False)
        if made.returncode == 0:
            return command
        tried.append(made.stderr.strip())
    pytest.fail(f"this machine lets nobody make a network namespace: {'; '.join(tried)}", pytrace=False)


def traced(command: Sequence[str], folder: Path, variables: Mapping[str, str]) -> Traced:
    """Run a command to its end, and that of everything it started; ``CI`` is unset, since libraries keep quiet where it is set."""
    record = folder / "strace.out"
    strace = ["strace", "-f", "-qq", "--seccomp-bpf", "-e", "trace=network", "-e", "signal=none", "-s", "200", "-o", str(record)]
    environment = {name: value for name, value in os.environ.items() if name not in ("CI", "ORT_DISABLE_TELEMETRY", "DO_NOT_TRACK")}
    outcome = subprocess.run(
        [*empty_namespace(), *strace, *command],
        env={**environment, **variables},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    return Traced(outcome, record)


def files_below(*folders: Path) -> set[str]:
    """Every file that is there now."""
    return {str(path) for folder in folders for path in folder.rglob("*") if not path.is_dir()}
