"""``greenwave runs resume --interrupted``: all that were interrupted, and nobody waits for them."""

from __future__ import annotations

import time

from appliance import demo
from appliance.domain.recipe import CleaningRecipe
from appliance.domain.run import Run
from appliance.services.planning import DatasetRef
from appliance.services.workbench import Workbench
from tests.cli.conftest import Greenwave


def test_a_run_or_all_interrupted_ones(greenwave: Greenwave) -> None:
    """One of the two has to be said, and not both; where nothing was interrupted there is nothing to do."""
    for arguments in ((), ("some-run", "--interrupted")):
        refused = greenwave("runs", "resume", *arguments, "--json")
        assert (refused.status, refused.error["code"]) == (2, "usage")
    assert greenwave("runs", "resume", "--interrupted", "--json").json == []


def test_all_interrupted_runs_go_on(greenwave: Greenwave) -> None:
    """Each is named, and the command is over at once; they come to their end by themselves."""
    assert greenwave("datasets", "import", demo.records_file(), "--name", "rows").status == 0
    workbench = Workbench()
    run_id, plan = workbench.runs.new_plan()
    plan.clean(DatasetRef.of(workbench.datasets.get("rows")), "cleaned", CleaningRecipe())
    workbench.store.runs.add(Run(id=run_id, name="cut-off", state="interrupted", created=time.time()), plan.stages)
    told = greenwave("runs", "resume", "--interrupted")
    assert told.status == 0
    assert "cut-off" in told.err
    assert workbench.runs.wait(run_id).state == "done"
    workbench.close()
