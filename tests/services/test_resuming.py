"""Interrupted runs at a lasting start: who goes on, who does not, and that nothing happens twice."""

from __future__ import annotations

import time

import msgspec

from appliance.domain.recipe import CleaningRecipe
from appliance.domain.run import Run, RunState
from appliance.running.launch import claim_run
from appliance.services.planning import DatasetRef
from appliance.services.workbench import Workbench


def recorded(workbench: Workbench, name: str, state: RunState) -> Run:
    """A run in the record, without a conductor, that is to clean ``rows`` into a dataset of this name."""
    run_id, plan = workbench.runs.new_plan()
    plan.clean(DatasetRef.of(workbench.datasets.get("rows")), name, CleaningRecipe())
    run = Run(id=run_id, name=name, state=state, created=time.time())
    workbench.store.runs.add(run, plan.stages)
    return run


def test_interrupted_runs_go_on(workbench: Workbench) -> None:
    """All that were interrupted are resumed and done; what a person cancelled, and what failed, stays as it is."""
    first, second = (recorded(workbench, name, "interrupted") for name in ("first", "second"))
    others = [recorded(workbench, state, state) for state in ("cancelled", "failed")]
    resumed, refused = workbench.runs.resume_interrupted()
    assert [run.id for run in resumed] == [first.id, second.id]
    assert refused == ()
    assert [workbench.runs.wait(run.id).state for run in resumed] == ["done", "done"]
    assert [workbench.runs.get(run.id).state for run in others] == ["cancelled", "failed"]
    assert workbench.runs.resume_interrupted() == ((), ())


def test_one_that_cannot_go_on_does_not_keep_the_others(workbench: Workbench) -> None:
    """A run whose name was taken meanwhile is refused with the reason; one that somebody else resumes right now is left to them."""
    taken, free, held = (recorded(workbench, name, "interrupted") for name in ("taken", "free", "held"))
    with workbench.store.transaction():
        row = workbench.datasets.get("rows")
        workbench.store.datasets.add(msgspec.structs.replace(row, id="dataset-other", name="taken"))
    with claim_run(workbench.home, held.id):
        resumed, refused = workbench.runs.resume_interrupted()
    assert [run.id for run in resumed] == [free.id]
    assert [(run.id, error.code) for run, error in refused] == [(taken.id, "name_taken")]
    assert workbench.runs.get(held.id).state == "interrupted"
