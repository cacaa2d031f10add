"""A bench that starts runs of attacking stages under the real conductor."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest

from appliance.domain.home import Home
from appliance.domain.identity import new_id
from appliance.domain.run import PlannedStage, Publication, Run
from appliance.running.launch import claim_run, is_alive, start_conductor
from appliance.running.recovery import recognise_lost_runs
from appliance.store.store import Store
from tests.running.attacks.spec import AttackSpec

PROGRAM = "tests.running.attacks.conductor"


@dataclass
class AttackBench:
    """Starts runs and waits for them."""

    home: Home
    store: Store

    def stage(self, attack: str, name: str = "", **spec: Any) -> PlannedStage:
        """A stage that attacks; with a ``name`` it promises a dataset of that name."""
        if not name:
            return PlannedStage(stage=attack, spec=msgspec.to_builtins(AttackSpec(**spec)))
        dataset_id = new_id("dataset")
        output = str(self.home.artefact("dataset", dataset_id) / "data")
        promised = Publication(role="dataset", noun="dataset", id=dataset_id, name=name)
        return PlannedStage(stage=attack, spec=msgspec.to_builtins(AttackSpec(output=output, **spec)), publications=(promised,))

    def start(self, *plan: PlannedStage) -> str:
        """Start a run of these stages; its id."""
        run_id = new_id("run")
        lock = claim_run(self.home, run_id)
        self.store.runs.add(Run(id=run_id, name="attack", state="queued", created=time.time()), plan)
        start_conductor(self.home, run_id, lock, PROGRAM)
        return run_id

    def resume(self, run_id: str) -> None:
        """Start a conductor for a run that has none any more."""
        lock = claim_run(self.home, run_id)
        self.store.runs.change(run_id, state="queued", wish="", failure={})
        start_conductor(self.home, run_id, lock, PROGRAM)

    def wait(self, run_id: str, *states: str, seconds: float = 20.0) -> Run:
        """Wait until the run is in one of these states, or over."""
        wanted = states or ("done", "failed", "cancelled", "interrupted")
        deadline = time.monotonic() + seconds
        while (run := self.find(run_id)).state not in wanted:
            assert time.monotonic() < deadline, f"still {run.state}; {self.log(run_id)}"
            time.sleep(0.02)
        return run

    def wait_for_worker(self, run_id: str, position: int = 0) -> None:
        """Wait until the stage has said its first word."""
        deadline = time.monotonic() + 20.0
        while not any(recorded.position == position for recorded in self.store.events.after(run_id)):
            assert time.monotonic() < deadline, self.log(run_id)
            time.sleep(0.02)

    def find(self, run_id: str) -> Run:
        """The run as it is recorded now."""
        run = self.store.runs.find(run_id)
        assert run is not None
        return run

    def log(self, run_id: str) -> str:
        """Everything that was logged, for a failing test's message."""
        return "\n".join(path.read_text("utf-8", "replace") for path in sorted(self.home.run(run_id).glob("*.log")))

    def end_all(self) -> None:
        """Leave no conductor behind."""
        for run in self.store.runs.in_states("queued", "running"):
            self.store.runs.change(run.id, wish="cancel")
        deadline = time.monotonic() + 20.0
        while any(is_alive(self.home, run.id) for run in self.store.runs.newest()) and time.monotonic() < deadline:
            time.sleep(0.05)
        recognise_lost_runs(self.store, self.home)


@pytest.fixture
def bench(own_home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[AttackBench]:
    """A bench in the test's own home, with conductors that find the attacks."""
    root = Path(__file__).parents[2]
    monkeypatch.setenv("PYTHONPATH", str(root))
    made = AttackBench(Home(own_home), Store(own_home))
    yield made
    made.end_all()
