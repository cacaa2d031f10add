"""Work of the export in processes of its own: what loads a model may abort, and what needs much memory gives it back by ending.

A child cannot outlive the stage: the kernel kills it when the stage's process dies, however it dies. A child that is a module of ours is

    python -m MODULE REQUEST_FILE ANSWER_FILE

and says ``Progress`` and ``Failed`` as JSON lines on its standard output, everything else on standard error.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, TypeVar

import msgspec

from appliance.domain.errors import ApplianceError, ExitCode
from appliance.domain.event import Failed, Progress, from_line, to_line
from appliance.files.publish import PARTIAL
from appliance.processes.child import spawn
from appliance.processes.ending import Ending
from appliance.processes.lines import LineReader

SILENCE_SECONDS = 3600.0
"""A child that says nothing for so long hangs."""

_TICK = 0.25

Tell = Callable[[int], None]
"""Hears how many units are done."""
Answer = TypeVar("Answer")


@contextmanager
def work_folder(place: Path) -> Iterator[Path]:
    """A fresh folder beside ``place`` for what is needed on the way; gone afterwards, and cleared by the next try after a kill."""
    folder = place.with_name(f"{place.name}.work{PARTIAL}")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def asked(module: str, request: msgspec.Struct, answer: type[Answer], work: Path, tell: Tell) -> tuple[Ending, Answer | None]:
    """Let a module of ours answer a request: how it ended, and what it answered if it ended well.

    Raises the error that the child failed with, ``check_hangs``, or the error of a child that ran out of memory.
    """
    name = module.rpartition(".")[2]
    request_file, answer_file = work / f"{name}.request", work / f"{name}.answer"
    request_file.write_bytes(msgspec.json.encode(request))
    failures: list[Failed] = []

    def hear(lines: list[bytes], _unfinished: bytes) -> None:
        for line in lines:
            try:
                event = from_line(line)
            except msgspec.MsgspecError:
                continue  # a library printed it before it could be told not to
            if isinstance(event, Progress):
                tell(event.done)
            elif isinstance(event, Failed):
                failures.append(event)

    ending = followed([sys.executable, "-m", module, str(request_file), str(answer_file)], work / f"{name}.log", hear)
    for failure in failures:
        raise ApplianceError(failure.code, ExitCode(failure.exit_code), **failure.parameters)
    return ending, msgspec.json.decode(answer_file.read_bytes(), type=answer) if ending.kind == "done" else None


def followed(command: Sequence[str], log: Path, hear: Callable[[list[bytes], bytes], None], cwd: Path | None = None) -> Ending:
    """Run a program to its end; ``hear`` gets the lines of its standard output, and the line that is not complete yet."""
    with spawn(command, log=log, stdout="pipe", env=_environment(), cwd=cwd, death_signal=signal.SIGKILL) as child:
        assert child.stdout is not None
        reader = LineReader(child.stdout)
        heard, deadline = b"", time.monotonic() + SILENCE_SECONDS
        while not reader.ended:
            lines = reader.read(_TICK)
            if lines or reader.unfinished != heard:
                heard, deadline = reader.unfinished, time.monotonic() + SILENCE_SECONDS
                hear(lines, heard)
            elif time.monotonic() > deadline:
                raise ApplianceError("check_hangs", ExitCode.RUN_FAILED, seconds=SILENCE_SECONDS)
        ending = child.wait()
    if ending.kind.startswith("out_of_memory"):
        raise ending.error(stage="export")
    return ending


def child_main(answer: Callable[[bytes, Callable[[int], None]], msgspec.Struct]) -> None:
    """The main function of a module that is asked: read the request, answer it, say what failed."""
    request_file, answer_file = map(Path, sys.argv[1:3])
    events = _standard_output()

    def tell(done: int) -> None:
        events.write(to_line(Progress(done)))
        events.flush()

    try:
        found = answer(request_file.read_bytes(), tell)
    except ApplianceError as error:
        parameters = msgspec.to_builtins(error.parameters, enc_hook=str)
        events.write(to_line(Failed(error.code, parameters, int(error.exit_code))))
        events.close()
        sys.exit(1)
    answer_file.write_bytes(msgspec.json.encode(found))


def _standard_output() -> BinaryIO:
    """Events go out through a copy of file descriptor 1; whatever a library prints there then lands on standard error."""
    events = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return events


def _environment() -> dict[str, str]:
    # Threads of a busy machine that wait must sleep, not spin: a check took 35 s instead of 4 beside other work.
    settings = {"GGML_NO_BACKTRACE": "1", "OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": "0"}
    return {**os.environ, **settings, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
