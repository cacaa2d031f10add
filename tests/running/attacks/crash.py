"""Reads from address zero: SIGSEGV in native code."""

import ctypes

from appliance.domain.event import Emit, Progress, Started
from tests.running.attacks.spec import AttackSpec


def run(spec: AttackSpec, emit: Emit) -> None:
    """Say something, then crash."""
    emit(Started(10, "rows"))
    emit(Progress(3))
    ctypes.string_at(0)
