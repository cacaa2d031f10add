"""Takes the order to leave for a defect, as libraries do that catch everything while they are imported."""

from __future__ import annotations

import time

from appliance.domain.event import Emit, Started
from appliance.processes.stopping import Stopped
from tests.running.attacks.spec import AttackSpec


def run(spec: AttackSpec, emit: Emit) -> None:
    """Wait, and fail when told to leave."""
    emit(Started(None, "rows"))
    try:
        time.sleep(spec.seconds)
    except Stopped as order:
        raise ImportError("could not be loaded") from order
