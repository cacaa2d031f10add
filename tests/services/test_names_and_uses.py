"""Names that runs have promised, and files that runs will still read."""

from __future__ import annotations

import time

import pytest

from appliance.domain.errors import ApplianceError
from appliance.domain.recipe import CleaningRecipe
from appliance.domain.run import Run, RunState
from appliance.processes.locks import try_lock
from appliance.services.names import free_stem, require_free_names
from appliance.services.planning import DatasetRef, Plan
from appliance.services.workbench import Workbench


def planned_run(workbench: Workbench, name: str, state: RunState) -> tuple[Run, Plan]:
    """A run in the record, without a conductor, that is to clean ``rows`` into a dataset of this name."""
    run_id, plan = workbench.runs.new_plan()
    plan.clean(DatasetRef.of(workbench.datasets.get("rows")), name, CleaningRecipe())
    run = Run(id=run_id, name=f"clean-{name}", state=state, created=time.time())
    workbench.store.runs.add(run, plan.stages)
    return run, plan


def test_a_promised_name_is_refused_with_the_run_that_keeps_it(workbench: Workbench) -> None:
    """An interrupted run keeps its names; cancelling it gives them back."""
    run, plan = planned_run(workbench, "wanted", "interrupted")
    with pytest.raises(ApplianceError) as refused:
        workbench.datasets.start_clean("rows", "wanted", CleaningRecipe())
    assert (refused.value.code, refused.value.parameters["run"]) == ("name_promised", run.id)
    require_free_names(workbench.store, plan.publications, run.id)  # its own names are free for the run itself
    workbench.runs.cancel(run.id)
    started = workbench.datasets.start_clean("rows", "wanted", CleaningRecipe())
    assert workbench.runs.wait(started.id).state == "done"


def test_names_of_our_own_choice_avoid_promised_ones(workbench: Workbench) -> None:
    """A second demonstration beside the first, or after an interrupted one, gets numbered names instead of an error."""
    assert free_stem(workbench.store, "demo", ("-clean",)) == "demo"
    planned_run(workbench, "demo-clean", "interrupted")
    assert free_stem(workbench.store, "demo", ("-clean",)) == "demo-2"


def test_a_refused_start_leaves_nothing_behind(workbench: Workbench) -> None:
    """No run, no folder, no transaction that stays open."""
    before = sorted(workbench.home.runs.iterdir())
    with pytest.raises(ApplianceError):
        workbench.datasets.start_clean("rows", "rows", CleaningRecipe())
    assert sorted(workbench.home.runs.iterdir()) == before
    assert len(list(workbench.runs.newest())) == 1
    planned_run(Workbench(), "other", "interrupted")  # another front end may write at once


def test_a_run_whose_name_is_gone_is_not_resumed(workbench: Workbench) -> None:
    """Hours of training must not end in a name that somebody has taken since the run was cancelled."""
    run, _ = planned_run(workbench, "wanted", "cancelled")
    assert workbench.runs.wait(workbench.datasets.start_clean("rows", "wanted", CleaningRecipe()).id).state == "done"
    with pytest.raises(ApplianceError) as refused:
        workbench.runs.resume(run.id)
    assert refused.value.code == "name_taken"
    assert workbench.runs.get(run.id).state == "cancelled"
    assert not workbench.runs.recognise_lost()
    lock = try_lock(workbench.home.run_lock(run.id))
    assert lock is not None
    lock.release()


def test_what_a_run_will_still_read_is_not_removed(workbench: Workbench) -> None:
    """A dataset stays while a run that is not over has it in its plan, although nothing was made from it yet."""
    run, _ = planned_run(workbench, "wanted", "interrupted")
    with pytest.raises(ApplianceError) as refused:
        workbench.datasets.remove("rows")
    assert (refused.value.code, refused.value.parameters["run"]) == ("in_use", run.id)
    assert list(workbench.datasets.rows("rows"))
    workbench.runs.cancel(run.id)
    workbench.datasets.remove("rows")


def test_resume_waits_for_a_conductor_that_is_leaving(workbench: Workbench) -> None:
    """Between a conductor's last word and its end lie some moments, in which a run that is over is not yet free."""
    import threading

    run, _ = planned_run(workbench, "wanted", "cancelled")
    workbench.home.run(run.id).mkdir(parents=True)
    leaving = try_lock(workbench.home.run_lock(run.id))
    assert leaving is not None
    threading.Timer(0.7, leaving.release).start()
    workbench.runs.resume(run.id)
    assert workbench.runs.wait(run.id).state == "done"


def test_what_depends_on_a_dataset_is_told_in_the_order_of_deleting(workbench: Workbench) -> None:
    """Everything below is named, children before what they were made from, and in that order all of it can go."""
    for name, parent in (("b", "rows"), ("c", "b"), ("d", "b"), ("e", "rows")):
        assert workbench.runs.wait(workbench.datasets.start_clean(parent, name, CleaningRecipe()).id).state == "done"
    tree = workbench.datasets.dependants("rows")
    names = {child["name"]: {grandchild["name"] for grandchild in child["children"]} for child in tree["children"]}
    assert names == {"b": {"c", "d"}, "e": set()}
    with pytest.raises(ApplianceError, match="still_needed") as refused:
        workbench.datasets.remove("rows")
    order = refused.value.parameters["children"].split(", ")
    assert sorted(order) == ["b", "c", "d", "e"]
    for name in (*order, "rows"):
        workbench.datasets.remove(name)
    assert list(workbench.datasets.all()) == []
