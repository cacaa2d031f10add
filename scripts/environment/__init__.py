"""The environment that ``scripts/setup`` makes: a script that was started with any other Python goes on in it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

ENVIRONMENT = Path(__file__).resolve().parent.parent.parent / ".venv"


def enter() -> None:
    """Start this script anew with the environment's Python, unless that one runs it; end with a hint where there is no environment."""
    if Path(sys.prefix).resolve() == ENVIRONMENT.resolve():
        return
    python = ENVIRONMENT / "bin" / "python"
    if not python.exists():
        sys.exit("This needs Greenwave's environment.\nHint: run scripts/setup first.")
    os.execv(python, [str(python), *sys.argv])  # noqa: S606  # no shell has a part in it
