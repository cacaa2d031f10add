"""From a worker's lines to the store, in batches, so that recording stays cheap however fast the worker speaks."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from contextlib import suppress

import msgspec

from appliance.domain.errors import ApplianceError
from appliance.domain.event import Artifact, Event, Failed, Notice, Produced, Started, from_line
from appliance.store.store import Store

FLUSH_INTERVAL = 0.25
"""Seconds between two transactions; what decides something (a result, a failure, a new part) is written at once."""


class StageStory:
    """What one stage has said so far."""

    def __init__(self, store: Store, run_id: str, position: int) -> None:
        self._store = store
        self._run_id = run_id
        self._position = position
        self._unwritten: list[tuple[float, Event]] = []
        self._flushed = 0.0
        self.artifacts: list[Artifact] = []
        self.failure: Failed | None = None

    def collect(self, lines: Iterable[bytes]) -> None:
        """Take lines in; a line that is no event becomes a notice that shows it."""
        for line in lines:
            try:
                event: Event = from_line(line)
            except msgspec.MsgspecError:
                event = Notice("warning", "event_unreadable", {"line": line[:200].decode("utf-8", "replace")})
            if isinstance(event, Produced):
                self.artifacts.append(event.artifact)
            elif isinstance(event, Failed):
                self.failure = event
            elif isinstance(event, Started):
                self._flushed = 0.0
            self._unwritten.append((time.time(), event))

    def flush_when_due(self) -> None:
        """Write what was collected, at most four times a second."""
        if time.monotonic() - self._flushed >= FLUSH_INTERVAL:
            self.flush()

    def flush(self) -> None:
        """Write what was collected; what cannot be written now, on a full disk, waits for the next time and does not end the stage."""
        self._flushed = time.monotonic()
        if self._unwritten:
            try:
                self._store.events.append(self._run_id, self._position, self._unwritten)
            except ApplianceError as error:
                with suppress(OSError):  # the log lies on the same disk
                    print(error, file=sys.stderr)
            else:
                self._unwritten = []
