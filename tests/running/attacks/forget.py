"""Ends well without the result that the plan promised."""

from appliance.domain.event import Emit
from tests.running.attacks.spec import AttackSpec


def run(spec: AttackSpec, emit: Emit) -> None:
    """Do nothing."""
