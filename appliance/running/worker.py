"""The worker: runs one stage in a process of its own and tells its story as JSON lines on file descriptor 1.

``python -m appliance.running.worker STAGE SPEC_FILE``. It knows neither the store nor any front end. Standard error belongs to the
libraries: whatever they print on standard output is sent there as well, so that it cannot mix with the events.
"""

from __future__ import annotations

import gc
import os
import resource
import sys
import threading
import time
import traceback
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import BinaryIO

import msgspec

from appliance.domain.errors import ApplianceError, ExitCode
from appliance.domain.event import Emit, Event, Failed, Finished, Progress, Started, to_line
from appliance.processes import stopping
from appliance.processes.locks import wait_for_lock
from appliance.running.offline import go_offline
from appliance.running.stage_table import STAGES

PROGRESS_INTERVAL = 0.25
"""Seconds between two Progress events: a person cannot read faster and recording one costs about 3 ms."""

PREDECESSOR_LEAVES_WITHIN = 45.0
"""Seconds; a worker whose conductor was killed saves before it leaves, and two must not write the same checkpoints."""


class EventWriter:
    """Writes events as lines; of a fast series of Progress only every fourth of a second gets through, and always the last."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._held_back: Progress | None = None
        self._last_progress = 0.0
        self._lock = threading.Lock()

    def emit(self, event: Event) -> None:
        """Write one event, or hold a Progress back for a moment; any thread may call."""
        with self._lock:
            self._emit(event)

    def _emit(self, event: Event) -> None:
        if isinstance(event, Progress):
            now = time.monotonic()
            if now - self._last_progress < PROGRESS_INTERVAL:
                self._held_back = event
                return
            self._last_progress = now
        elif isinstance(event, Started):
            self._last_progress = 0.0
        if self._held_back is not None and not isinstance(event, Progress):
            self._stream.write(to_line(self._held_back))
        self._held_back = None
        self._stream.write(to_line(event))
        self._stream.flush()


def main(arguments: list[str]) -> int:
    """Run the stage; the exit status is that of the error, if there was one."""
    stage, spec_file = arguments
    go_offline()
    writer = EventWriter(take_standard_output())
    stopping.install()
    is_first = os.environ.get("RANK", "0") == "0"  # of several that train together: the others come with it and tell their failures only
    try:
        deadline = time.monotonic() + PREDECESSOR_LEAVES_WITHIN
        alone = wait_for_lock(Path(spec_file).parent / "worker.lock", stop=lambda: time.monotonic() > deadline) if is_first else None
        if is_first and alone is None:
            writer.emit(Failed("worker_still_there", {"stage": stage}, int(ExitCode.BUSY)))
            return int(ExitCode.BUSY)
        # Held until this process ends.
        return _run_stage(stage, Path(spec_file), writer, writer.emit if is_first else _say_nothing)
    except stopping.Stopped:
        return stopping.STOPPED
    except BrokenPipeError:
        # The conductor is gone; there is nobody left to tell.
        return stopping.STOPPED


def _say_nothing(_event: Event) -> None:
    pass


def imported(name: str) -> ModuleType:
    """A stage's module. What its libraries bring stays until the end: looking for garbage in it takes a fifth of an import's time."""
    gc.disable()
    try:
        return import_module(name)
    finally:
        gc.freeze()
        gc.enable()


def _run_stage(stage: str, spec_file: Path, writer: EventWriter, emit: Emit) -> int:
    try:
        entry = STAGES[stage]
        spec = msgspec.json.decode(spec_file.read_bytes(), type=entry.spec)
        imported(entry.module).run(spec, emit)
    except ApplianceError as error:
        failure = Failed(error.code, plain_values(error.parameters), int(error.exit_code))
    except MemoryError:
        traceback.print_exc()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        failure = Failed("out_of_memory_host", {"stage": stage, "peak_memory": peak}, int(ExitCode.NO_ROOM))
    except Exception as error:
        if isinstance(error, BrokenPipeError):
            raise
        # A defect of ours or of a library: the log has the traceback, a person gets one sentence.
        traceback.print_exc()
        shown = f"{type(error).__name__}: {error}"[:500]
        failure = Failed("stage_defect", {"stage": stage, "error": shown}, int(ExitCode.RUN_FAILED))
    else:
        emit(Finished())
        return 0
    writer.emit(failure)
    return failure.exit_code


def plain_values(parameters: dict[str, object]) -> dict[str, object]:
    """Parameters as JSON values; paths and the like become text."""
    return {name: msgspec.to_builtins(value, enc_hook=str) for name, value in parameters.items()}


def take_standard_output() -> BinaryIO:
    """Keep file descriptor 1 for events and send everything else that is printed there to standard error."""
    events = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return events


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
