"""Runs: started, followed, cancelled, resumed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

from appliance.domain.curve import VISIBLE_POINTS, Curve, thinned
from appliance.domain.errors import ApplianceError, ExitCode
from appliance.domain.event import RecordedEvent
from appliance.domain.home import Home
from appliance.domain.identity import new_id
from appliance.domain.recipe import Recipe, as_layer
from appliance.domain.run import Run, StageRecord
from appliance.processes.locks import is_held
from appliance.running.launch import claim_run, start_conductor
from appliance.running.recovery import recognise_lost_runs
from appliance.services.names import require_free_names
from appliance.services.planning import Plan
from appliance.store.store import Store

POLL_INTERVAL = 0.1
"""Seconds between two looks at the record while a run is followed."""


LOG_BYTES = 256 * 1024
"""How much of a log's end is looked at."""

LEAVING_WITHIN = 10.0
"""Seconds that a conductor may need between its last word in the record and its end."""


class RunService:
    """What front ends do with runs."""

    def __init__(self, store: Store, home: Home) -> None:
        self._store = store
        self._home = home

    def new_plan(self) -> tuple[str, Plan]:
        """The id of a run to be, and its empty plan."""
        run_id = new_id("run")
        return run_id, Plan(self._home, run_id)

    def start(self, run_id: str, name: str, plan: Plan, recipe: Recipe | None = None) -> Run:
        """Write the run down and start its conductor.

        Raises ``name_taken``, ``name_promised`` or ``name_not_allowed`` before anything is written.
        """
        run = Run(id=run_id, name=name, state="queued", created=time.time(), recipe=as_layer(recipe) if recipe else {})
        with self._store.transaction():
            require_free_names(self._store, plan.publications, run_id)
            lock = claim_run(self._home, run_id)
            self._store.runs.add(run, plan.stages)
        start_conductor(self._home, run_id, lock)
        return run

    def get(self, key: str) -> Run:
        """The run with this id, beginning of an id, or name; raises ``run_unknown``."""
        run = self._store.runs.find(key)
        if run is None:
            raise ApplianceError("run_unknown", ExitCode.USAGE, run=key)
        return run

    def newest(self, limit: int = -1) -> Iterator[Run]:
        """Runs, newest first."""
        return self._store.runs.newest(limit)

    def stages(self, run_id: str) -> tuple[StageRecord, ...]:
        """How each stage of a run went."""
        return self._store.runs.stages(run_id)

    def log_tail(self, run_id: str, position: int, lines: int = 50) -> list[str]:
        """The last lines that a stage's worker wrote to its log; none if it wrote nothing."""
        record = next((record for record in self.stages(run_id) if record.position == position), None)
        path = None if record is None else self._home.stage_log(run_id, position, record.stage)
        if path is None or not path.is_file():
            return []
        with path.open("rb") as log:
            log.seek(max(0, path.stat().st_size - LOG_BYTES))
            return log.read().decode("utf-8", "replace").splitlines()[-lines:]

    def events(self, run_id: str, after: int = 0) -> Iterator[RecordedEvent]:
        """What was recorded since event ``after``, without waiting."""
        return self._store.events.after(run_id, after)

    def curves(self, key: str, points: int = VISIBLE_POINTS) -> list[Curve]:
        """Everything that a run has measured so far, each metric thinned to what can be seen."""
        measured, _ = self._store.events.metrics(self.get(key).id)
        return [
            Curve(name=name, points=thinned(values, points), total=len(values), last=values[-1][1]) for name, values in measured.items()
        ]

    def follow(self, run_id: str, after: int = 0, until: Callable[[], bool] = lambda: False) -> Iterator[RecordedEvent]:
        """Every event from ``after`` on, as it is recorded, until the run is over or ``until`` says so."""
        last_look = time.monotonic()
        while not until():
            over = self.get(run_id).state not in ("queued", "running")
            for recorded in self._everything_after(run_id, after):
                after = recorded.id
                yield recorded
            if over:
                return
            if time.monotonic() - last_look > 1.0:
                self.recognise_lost()
                last_look = time.monotonic()
            time.sleep(POLL_INTERVAL)

    def wait(self, run_id: str) -> Run:
        """Wait until the run is over; how it ended."""
        for _ in self.follow(run_id):
            pass
        return self.get(run_id)

    def cancel(self, key: str) -> Run:
        """Ask a run to end for good; what it has published stays. Raises ``run_is_over``."""
        run = self.get(key)
        if self._store.runs.replace_state(run.id, ("interrupted",), "cancelled"):
            return self.get(run.id)
        if run.state not in ("queued", "running"):
            raise ApplianceError("run_is_over", ExitCode.USAGE, run=run.id, state=run.state)
        self._store.runs.change(run.id, wish="cancel")
        return self.get(run.id)

    def resume(self, key: str, patience: float = LEAVING_WITHIN) -> Run:
        """Go on with a run that was interrupted, cancelled or failed, from its first unfinished stage and newest checkpoint.

        Raises ``run_is_done``, ``run_is_alive``, or what ``start`` raises when somebody has taken its names meanwhile.
        """
        run = self.get(key)
        is_over = run.state not in ("queued", "running")
        with ExitStack() as unless_started:
            lock = unless_started.enter_context(claim_run(self._home, run.id, patience if is_over else 0.0))
            with self._store.transaction():
                # Only who holds the lock knows the state for certain.
                if self.get(run.id).state == "done":
                    raise ApplianceError("run_is_done", ExitCode.USAGE, run=run.id)
                promised = [publication for planned in self._store.runs.unfinished(run.id) for publication in planned.publications]
                require_free_names(self._store, promised, run.id)
                self._store.runs.change(run.id, state="queued", wish="", ended=None, failure={})
            start_conductor(self._home, run.id, lock)
        return self.get(run.id)

    def resume_interrupted(self) -> tuple[tuple[Run, ...], tuple[tuple[Run, ApplianceError], ...]]:
        """Go on with every interrupted run, the oldest first: those that go on now, and those that cannot, with the reason.

        One that somebody else resumes at the same time is neither.
        """
        resumed, refused = [], []
        for run in list(self._store.runs.in_states("interrupted")):
            if self.get(run.id).state != "interrupted":
                continue
            try:
                resumed.append(self.resume(run.id, patience=0.0))
            except ApplianceError as error:
                if error.code not in ("run_is_alive", "run_is_done"):
                    refused.append((run, error))
        return tuple(resumed), tuple(refused)

    def heavy_stage_is_running(self) -> bool:
        """Whether some run's training, examination or export is using the machine right now."""
        return is_held(self._home.heavy_lock)

    def recognise_lost(self) -> tuple[Run, ...]:
        """Runs whose conductor is gone, now marked as interrupted."""
        return recognise_lost_runs(self._store, self._home)

    def _everything_after(self, run_id: str, after: int) -> Iterator[RecordedEvent]:
        while batch := list(self._store.events.after(run_id, after)):
            yield from batch
            after = batch[-1].id
