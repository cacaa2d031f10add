"""Opening the workbench for a command, and telling what became of runs while nobody watched."""

from __future__ import annotations

from appliance.cli.output import narrate
from appliance.services.workbench import Workbench
from appliance.texts.speech import say


def open_workbench() -> Workbench:
    """The workbench of the home; a run that was found without its conductor is told on standard error."""
    workbench = Workbench()
    for run in workbench.lost_runs:
        narrate(say("notices", "lost_run", run=run.id))
    return workbench
