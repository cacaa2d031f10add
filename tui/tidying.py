"""Looking for garbage while nobody waits.

A collection of everything stops the UI for 25 to 60 ms, which is seen when it falls between a key and its answer. Python's own collector
asks nobody; so it is told to leave the oldest objects alone for much longer, and they are looked at when no key has come for a while.
"""

from __future__ import annotations

import gc
import time
from dataclasses import dataclass

RARELY = 200
"""Middle collections between two full ones that Python does by itself: for whoever never lets go of the keys."""
WORTH_IT = 10
"""Middle collections since the last full one, as many as Python waits for."""
QUIET_SECONDS = 1.5
"""Without a key, nobody is taken to wait."""
LOOK_EVERY = 2.0


@dataclass
class Tidying:
    """When garbage is looked for."""

    last_key: float = 0.0
    _before: tuple[int, int, int] | None = None

    def begin(self) -> None:
        """From now on full collections wait for quiet."""
        self._before = gc.get_threshold()
        gc.set_threshold(self._before[0], self._before[1], RARELY)

    def end(self) -> None:
        """Let Python do as before."""
        if self._before is not None:
            gc.set_threshold(*self._before)
            self._before = None

    def key_came(self) -> None:
        """Somebody is at work."""
        self.last_key = time.monotonic()

    def tidy(self) -> bool:
        """Collect everything if it is worth it and nobody waits; whether that was done."""
        if gc.get_count()[2] < WORTH_IT or time.monotonic() - self.last_key < QUIET_SECONDS:
            return False
        gc.collect()
        return True
