"""The conductor: leads one run through its stages and keeps the record. Light: no torch, no numpy of its own.

``python -m appliance.running.conductor RUN_ID`` with the run's lock inherited as the file descriptor in ``GREENWAVE_RUN_LOCK``. It
outlives the front end that started it. SIGTERM interrupts the run (it is resumed later); a wish in the store cancels it.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
import traceback
from dataclasses import dataclass
from types import FrameType
from typing import Any, Literal

import msgspec

from appliance.domain.errors import ApplianceError, ExitCode
from appliance.domain.home import Home
from appliance.domain.run import PlannedStage
from appliance.files.space import kept_free
from appliance.processes.child import Child, spawn
from appliance.processes.ending import Ending
from appliance.processes.lines import LineReader
from appliance.processes.locks import HeldLock, try_lock, wait_for_lock
from appliance.running.launch import LOCK_VARIABLE
from appliance.running.launching import ONLY_THIS_MACHINE, worker_command
from appliance.running.offline import OFFLINE_SWITCHES, go_offline
from appliance.running.publishing import publish, sweep_unpublished
from appliance.running.recording import StageStory
from appliance.running.stage_table import STAGES
from appliance.store.store import Store

WORKER = "appliance.running.worker"

TICK = 0.25
"""Seconds between two looks at the worker, the wishes and the clock."""

GRACE = 30.0
"""Seconds that a worker has to save after SIGTERM."""

RESERVE = 1 << 20
"""Bytes that are set aside while a worker works, so that the record of how it ended can be written on a disk that it has filled."""

Outcome = Literal["done", "failed", "cancelled", "interrupted"]


@dataclass(frozen=True)
class Verdict:
    """How a stage, or the run, ended; ``failure`` is told to people when it failed."""

    outcome: Outcome
    failure: dict[str, Any] | None = None


class Conductor:
    """Leads one run."""

    def __init__(self, store: Store, home: Home, run_id: str) -> None:
        self._store = store
        self._home = home
        self._run_id = run_id
        self._told_to_stop = False

    def interrupt(self, _signal: int = 0, _frame: FrameType | None = None) -> None:
        """Stop after the worker has saved; the run can be resumed."""
        self._told_to_stop = True

    def conduct(self) -> Verdict:
        """Lead the run from its first unfinished stage to its end and write down how it ended."""
        self._store.runs.change(self._run_id, state="running", started=time.time(), ended=None, failure={}, pid=os.getpid())
        verdict = Verdict("done")
        done = {record.position for record in self._store.runs.stages(self._run_id) if record.state == "done"}
        for position, planned in enumerate(self._store.runs.plan(self._run_id)):
            if position in done:
                continue
            verdict = self._conduct_stage(position, planned)
            if verdict.outcome != "done":
                break
        if verdict.outcome == "done":
            # Nothing resumes a run that is done, and checkpoints are the largest thing that it leaves.
            shutil.rmtree(self._home.checkpoints(self._run_id), ignore_errors=True)
        self._store.runs.change(self._run_id, state=verdict.outcome, ended=time.time(), failure=verdict.failure or {}, pid=None)
        return verdict

    def give_up(self, error: Exception) -> None:
        """Write down that the run cannot be led on; what it has published and its checkpoints stay."""
        failure = {"code": "conductor_failed", "parameters": {"error": f"{type(error).__name__}: {error}"[:500]}, "exit_code": 1}
        for record in self._store.runs.stages(self._run_id):
            if record.state == "running":
                self._store.runs.change_stage(self._run_id, record.position, "failed", ended=time.time())
        self._store.runs.change(self._run_id, state="failed", ended=time.time(), failure=failure, pid=None)

    def _conduct_stage(self, position: int, planned: PlannedStage) -> Verdict:
        heavy_lock = self._wait_for_heavy_lock() if STAGES[planned.stage].heavy else None
        try:
            leaving = self._asked_to_leave()
            if leaving:
                return Verdict(leaving)
            sweep_unpublished(self._store, self._home, planned)
            self._store.runs.change_stage(self._run_id, position, "running", started=time.time(), ended=None)
            verdict, ending = self._run_worker(position, planned, heavy_lock)
            if verdict.outcome != "done":
                sweep_unpublished(self._store, self._home, planned)
            facts = {"peak_memory": ending.peak_memory} if ending else {}
            self._store.runs.change_stage(self._run_id, position, verdict.outcome, ended=time.time(), **facts)
            self._store.events.thin(self._run_id, position)
            return verdict
        finally:
            if heavy_lock is not None:
                heavy_lock.release()

    def _run_worker(self, position: int, planned: PlannedStage, heavy_lock: HeldLock | None) -> tuple[Verdict, Ending | None]:
        record = StageStory(self._store, self._run_id, position)
        with kept_free(self._home.run(self._run_id) / "reserve", RESERVE):
            try:
                child = self._spawn(position, planned, heavy_lock)
            except OSError as error:
                return Verdict("failed", {"code": "worker_not_started", "parameters": {"reason": str(error)}, "exit_code": 1}), None
            with child:
                ending, leaving = self._follow(child, record)
        record.flush()
        if leaving and ending.kind != "done":
            return Verdict(leaving), ending
        return self._judge(position, planned, record, ending), ending

    def _follow(self, child: Child, record: StageStory) -> tuple[Ending, Outcome | None]:
        """Record what the worker says until it ends; ask it to leave when the run is to end, and make it leave when it does not."""
        assert child.stdout is not None
        reader = LineReader(child.stdout)
        leaving: Outcome | None = None
        patience = 0.0
        while (ending := child.poll()) is None:
            record.collect(reader.read(TICK))
            if reader.ended:
                time.sleep(TICK)  # a worker that has closed its output and still lives
            record.flush_when_due()
            if leaving is None:
                # Asked in the middle of a library's import, a worker may fail instead of leaving, since the library takes the order for
                # its own defect. What has failed before it was asked has failed.
                leaving = None if record.failure else self._asked_to_leave()
                if leaving:
                    child.terminate()
                    patience = time.monotonic() + GRACE
            elif time.monotonic() > patience:
                child.kill()
        while lines := reader.read(0):
            record.collect(lines)
        record.flush()
        return ending, leaving

    def _judge(self, position: int, planned: PlannedStage, record: StageStory, ending: Ending) -> Verdict:
        """Done only if the worker said so by its exit status *and* its results are in the registry."""
        if record.failure is not None:
            failure = msgspec.to_builtins(record.failure)
            return Verdict("failed", _with_log(failure, ending))
        if ending.kind == "terminated":
            # Somebody other than us sent SIGTERM to the worker; it has saved what it could.
            return Verdict("interrupted")
        if ending.kind != "done":
            exit_code = int(ExitCode.NO_ROOM if ending.kind.startswith("out_of_memory") else ExitCode.RUN_FAILED)
            parameters = {"stage": planned.stage, **ending.parameters}
            return Verdict("failed", _with_log({"code": ending.code, "parameters": parameters, "exit_code": exit_code}, ending))
        try:
            with self._store.transaction():
                publish(self._store, self._run_id, planned, record.artifacts)
                facts = {artifact.role: artifact.facts for artifact in record.artifacts}
                self._store.runs.change_stage(self._run_id, position, "done", facts=facts)
        except ApplianceError as error:
            failure = {"code": error.code, "parameters": error.parameters, "exit_code": int(error.exit_code)}
            return Verdict("failed", _with_log(failure, ending))
        return Verdict("done")

    def _spawn(self, position: int, planned: PlannedStage, heavy_lock: HeldLock | None) -> Child:
        spec_file = self._home.stage_spec(self._run_id, position, planned.stage)
        spec_file.write_bytes(msgspec.json.format(msgspec.json.encode(planned.spec), indent=2))
        return spawn(
            worker_command(WORKER, planned.stage, planned.spec, spec_file),
            log=self._home.stage_log(self._run_id, position, planned.stage),
            stdout="pipe",
            env={**os.environ, **OFFLINE_SWITCHES, **ONLY_THIS_MACHINE},
            # The machine is taken as long as the worker lives, also when this conductor is killed and the worker still saves.
            pass_fds=(heavy_lock.fileno(),) if heavy_lock else (),
        )

    def _wait_for_heavy_lock(self) -> HeldLock | None:
        """The lock that lets one heavy stage run at a time; while waiting the run is ``queued``. None if told to leave."""
        lock = try_lock(self._home.heavy_lock)
        if lock is not None:
            return lock
        self._store.runs.change(self._run_id, state="queued")
        lock = wait_for_lock(self._home.heavy_lock, stop=lambda: self._asked_to_leave() is not None)
        self._store.runs.change(self._run_id, state="running")
        return lock

    def _asked_to_leave(self) -> Outcome | None:
        if self._told_to_stop:
            return "interrupted"
        return "cancelled" if self._store.runs.wish_of(self._run_id) == "cancel" else None


def _with_log(failure: dict[str, Any], ending: Ending) -> dict[str, Any]:
    return failure | {"log": ending.log_tail}


def main(arguments: list[str]) -> int:
    """Conduct the run whose lock was inherited; the exit status tells whether it was done."""
    go_offline()
    # Holding the open file until the process ends is all there is to do with the lock; workers must not get it.
    os.set_inheritable(int(os.environ.pop(LOCK_VARIABLE)), False)
    home = Home.from_environment()
    conductor = Conductor(Store(home.root), home, arguments[0])
    signal.signal(signal.SIGTERM, conductor.interrupt)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        verdict = conductor.conduct()
    except Exception as error:  # noqa: BLE001  # a defect of ours, or a store that cannot be written: the record shall tell it if it can
        traceback.print_exc()
        conductor.give_up(error)
        return int(ExitCode.RUN_FAILED)
    return int(ExitCode.DONE if verdict.outcome == "done" else ExitCode.RUN_FAILED)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
