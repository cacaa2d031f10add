"""The asking side of an answerer: started when it is first needed, asked, and started anew when it has gone or died."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import Any

import msgspec

from appliance.domain.errors import ApplianceError, ExitCode
from appliance.processes.child import Child, spawn
from appliance.processes.lines import LineReader
from appliance.running.answerer import Answered, Asked
from appliance.running.launch import PYTHON
from appliance.running.offline import OFFLINE_SWITCHES
from appliance.running.stage_table import ANSWERERS

ANSWERER = "appliance.running.answerer"

IDLE = 300.0
"""Seconds without a question after which an answerer leaves and gives its memory back."""
PATIENCE = 60.0
"""Seconds that an answer may take, the start of the answerer included."""
_LONGEST_ANSWER = 16 << 20
_TRIES = 2
"""One that has left or died meanwhile is started anew; one that dies of the question is not asked a third time."""


class Resident:
    """One answerer; any thread may ask, one after another."""

    def __init__(self, name: str, log: Path, *, idle: float = IDLE, program: str = ANSWERER) -> None:
        self._name = name
        self._answer_type: Any = ANSWERERS[name].answer
        self._log = log
        self._command = [*PYTHON, "-m", program, name, str(idle)]
        self._lock = threading.Lock()
        self._child: Child | None = None
        self._reader: LineReader | None = None
        self._number = 0

    @property
    def pid(self) -> int | None:
        """Of the process that answers, while there is one."""
        return self._child.pid if self._child is not None and self._child.poll() is None else None

    def start(self) -> None:
        """Start it now, so that the first question need not wait for the library. Raises ``worker_not_started``."""
        with self._lock:
            self._ensure()

    def ask(self, question: msgspec.Struct, patience: float = PATIENCE) -> Any:
        """The answer. Raises the error that the question met, ``answer_late``, or how the answerer ended when it died of it."""
        with self._lock:
            for attempt in range(1, _TRIES + 1):
                child, reader = self._ensure()
                answered = self._asked(child, reader, question, patience)
                if answered is not None:
                    return self._read(answered)
                ending = child.wait(10.0)
                self._drop()
                if attempt == _TRIES:
                    raise ending.error("worker", stage=self._name)
        raise AssertionError("unreachable")

    def close(self) -> None:
        """End it; it has nothing to save."""
        with self._lock:
            self._drop()

    def _ensure(self) -> tuple[Child, LineReader]:
        if self._child is not None and self._child.poll() is not None:
            self._drop()
        if self._child is None or self._reader is None:
            try:
                environment = {**os.environ, **OFFLINE_SWITCHES}
                self._child = spawn(self._command, log=self._log, stdin="pipe", stdout="pipe", env=environment)
            except OSError as error:
                raise ApplianceError("worker_not_started", ExitCode.RUN_FAILED, reason=str(error)) from error
            assert self._child.stdout is not None
            self._reader = LineReader(self._child.stdout, _LONGEST_ANSWER)
        return self._child, self._reader

    def _asked(self, child: Child, reader: LineReader, question: msgspec.Struct, patience: float) -> Answered | None:
        """What was answered; None when the answerer has gone."""
        self._number += 1
        assert child.stdin is not None
        rest = memoryview(msgspec.json.encode(Asked(self._number, msgspec.Raw(msgspec.json.encode(question)))) + b"\n")
        try:
            while rest:
                rest = rest[child.stdin.write(rest) :]
        except BrokenPipeError:
            return None
        deadline = time.monotonic() + patience
        while not reader.ended:
            if (left := deadline - time.monotonic()) <= 0:
                self._drop()
                raise ApplianceError("answer_late", ExitCode.RUN_FAILED, seconds=patience)
            for line in reader.read(left):
                answered = msgspec.json.decode(line, type=Answered)
                if answered.number == self._number:
                    return answered
            if reader.skipped:
                self._drop()
                raise ApplianceError("answer_too_long", ExitCode.RUN_FAILED, limit=_LONGEST_ANSWER)
        return None

    def _read(self, answered: Answered) -> Any:
        if answered.failed is not None:
            raise ApplianceError(answered.failed.code, ExitCode(answered.failed.exit_code), **answered.failed.parameters)
        return msgspec.json.decode(answered.answer, type=self._answer_type)

    def _drop(self) -> None:
        if self._child is not None:
            self._child.__exit__(None, None, None)
        self._child = self._reader = None
