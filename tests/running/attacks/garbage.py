"""Prints on standard output from Python and from C, and one line that is no event where events go."""

import os

from appliance.domain.event import Emit, Metric
from tests.running.attacks.spec import AttackSpec


def run(spec: AttackSpec, emit: Emit) -> None:
    """Print, write to descriptor 1, then speak properly."""
    print("printed by a library")
    os.write(1, b"written by C\n")
    emit(Metric("loss", 1, float("nan")))
    emit(Metric("loss", 2, 1.5))
