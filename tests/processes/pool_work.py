"""What the pool's tests let others do; at the top level, as the pool needs it."""

from __future__ import annotations

import os
import time

from appliance.domain.errors import ApplianceError

_offset = 0


def prepared(offset: int) -> None:
    """Remember a number in the process that works."""
    global _offset  # noqa: PLW0603  # the state of a process is what is tested
    _offset = offset


def slow_square(number: int) -> tuple[int, int, int]:
    """The square, what was prepared, and the process; the first piece takes longest."""
    time.sleep(0.05 if number == 0 else 0.0)
    return number * number, _offset, os.getpid()


def refused(line: int) -> int:
    """No piece is good enough."""
    raise ApplianceError("rows_damaged", path="x", line=line)
