"""A stage without a run: for quick questions whose answer is told to whoever asked and not recorded."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Generator, Iterator
from contextlib import closing
from pathlib import Path

import msgspec

from appliance.domain.errors import ApplianceError, ExitCode
from appliance.domain.event import Event, Failed, from_line
from appliance.domain.spec import Spec
from appliance.processes.child import spawn
from appliance.processes.lines import LineReader
from appliance.running.launch import PYTHON
from appliance.running.offline import OFFLINE_SWITCHES


def stage_events(stage: str, spec: Spec, seconds: float = 120.0) -> Iterator[Event]:
    """Run one stage and give its events as they come; raises the error that it failed with."""
    with tempfile.TemporaryDirectory(prefix="greenwave-") as folder:
        spec_file, log = Path(folder) / "spec.json", Path(folder) / "log"
        spec_file.write_bytes(msgspec.json.encode(spec))
        command = [*PYTHON, "-m", "appliance.running.worker", stage, str(spec_file)]
        try:
            worker = spawn(command, log=log, stdout="pipe", env={**os.environ, **OFFLINE_SWITCHES})
        except OSError as error:
            raise ApplianceError("worker_not_started", ExitCode.RUN_FAILED, reason=str(error)) from error
        with worker as child:
            assert child.stdout is not None
            failure: Failed | None = None
            with closing(_events(LineReader(child.stdout), seconds)) as events:
                for event in events:
                    if isinstance(event, Failed):
                        failure = event
                    yield event
            ending = child.wait(10.0)
    if failure is not None:
        raise ApplianceError(failure.code, ExitCode(failure.exit_code), **failure.parameters)
    if ending.kind != "done":
        raise ending.error("worker", stage=stage)


def _events(reader: LineReader, seconds: float) -> Generator[Event, None, None]:
    while not reader.ended:
        lines = reader.read(seconds)
        if not lines and not reader.ended:
            return
        yield from map(from_line, lines)
