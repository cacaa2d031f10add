"""Takes ``seconds``, then publishes like ``plain``."""

import time

from appliance.domain.event import Emit, Started
from tests.running.attacks import plain
from tests.running.attacks.spec import AttackSpec


def run(spec: AttackSpec, emit: Emit) -> None:
    """Wait in small steps, so that SIGTERM is noticed."""
    emit(Started(None, "rows"))
    until = time.monotonic() + spec.seconds
    while time.monotonic() < until:
        time.sleep(0.05)
    if spec.output:
        plain.run(spec, emit)
