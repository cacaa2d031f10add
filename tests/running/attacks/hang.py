"""Ignores SIGTERM and does nothing for ever."""

import signal
import time

from appliance.domain.event import Emit, Started
from tests.running.attacks.spec import AttackSpec


def run(spec: AttackSpec, emit: Emit) -> None:
    """Announce, then hang."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    emit(Started(10, "rows"))
    while True:
        time.sleep(60)
