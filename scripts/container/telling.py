"""How these commands speak: the answer on standard output, narration on standard error, an error as one sentence and a hint."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

HOUSE = Path(__file__).resolve().parents[2]
"""The repository."""


class Refused(Exception):
    """Something cannot be done: one sentence, one hint, an exit code as the appliance's own."""

    def __init__(self, message: str, hint: str, exit_code: int = 1) -> None:
        super().__init__(message)
        self.message, self.hint, self.exit_code = message, hint, exit_code


def say(words: str) -> None:
    """One line of narration."""
    print(words, file=sys.stderr, flush=True)


def answered(work: Callable[[], int]) -> int:
    """The exit code of a command's work; a refusal is told and gives its own, Ctrl-C gives 130."""
    try:
        return work()
    except Refused as refusal:
        say(f"{refusal.message}\nHint: {refusal.hint}")
        return refusal.exit_code
    except KeyboardInterrupt:
        return 130


def call(command: Sequence[str | Path], problem: str, hint: str, *, environment: Mapping[str, str] | None = None) -> str:
    """Run a program and give its standard output; its standard error is shown only when it fails, which is Refused."""
    ended = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False, env=environment, stdin=subprocess.DEVNULL)
    if ended.returncode:
        say("\n".join((ended.stdout + ended.stderr).splitlines()[-25:]))
        raise Refused(problem, hint)
    return ended.stdout
