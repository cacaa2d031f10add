"""The command line, called as the console script calls it, in this process."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from appliance import entry


@dataclass(frozen=True)
class Outcome:
    """What a command left behind."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output as the one JSON document it should be."""
        return json.loads(self.out)

    @property
    def error(self) -> dict[str, Any]:
        """The error object of a command with ``--json``: the last line of standard error."""
        told: dict[str, Any] = json.loads(self.err.strip().splitlines()[-1])
        return told


Greenwave = Callable[..., Outcome]


@pytest.fixture
def greenwave(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Greenwave:
    """``greenwave("datasets", "list", "--json")`` gives status, output and narration."""

    def call(*arguments: object) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["greenwave", *map(str, arguments)])
        capsys.readouterr()
        status = entry.main()
        captured = capsys.readouterr()
        return Outcome(status, captured.out, captured.err)

    return call
