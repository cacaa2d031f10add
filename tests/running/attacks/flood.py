"""Speaks as fast as it can."""

from appliance.domain.event import Emit, Notice, Progress, Started
from tests.running.attacks.spec import AttackSpec


def run(spec: AttackSpec, emit: Emit) -> None:
    """Emit ``amount`` progress events, then as many notices."""
    emit(Started(spec.amount, "rows"))
    for done in range(1, spec.amount + 1):
        emit(Progress(done))
    for number in range(spec.amount):
        emit(Notice("info", "flood", {"number": number, "filling": "x" * 100}))
