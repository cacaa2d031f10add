"""Refuses its input by a named error."""

from pathlib import Path

from appliance.domain.errors import ApplianceError, ExitCode
from appliance.domain.event import Emit
from tests.running.attacks.spec import AttackSpec


def run(spec: AttackSpec, emit: Emit) -> None:
    """Raise with a parameter that JSON does not know."""
    raise ApplianceError("source_missing", ExitCode.BAD_DATA, path=Path("/nowhere/记录.csv"), reason="gone")
