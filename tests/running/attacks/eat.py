"""Asks for more memory than it may have."""

import resource

from appliance.domain.event import Emit
from tests.running.attacks.spec import AttackSpec


def run(spec: AttackSpec, emit: Emit) -> None:
    """Allocate beyond the limit."""
    limit = 400 << 20
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    bytearray(limit * 2)
