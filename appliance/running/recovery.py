"""After a power cut or a killed conductor: runs that the record calls alive although nobody leads them."""

from __future__ import annotations

import time
from typing import Literal

from appliance.domain.home import Home
from appliance.domain.run import Run
from appliance.running.launch import is_alive
from appliance.running.publishing import sweep_unpublished
from appliance.store.store import Store


def recognise_lost_runs(store: Store, home: Home) -> tuple[Run, ...]:
    """Mark every run without a living conductor as interrupted; those that were marked now.

    One that a person had asked to end is cancelled instead: it ended before its conductor could say so.
    """
    lost = []
    for run in store.runs.in_states("queued", "running"):
        if is_alive(home, run.id):
            continue
        # Between the query and the look at the lock the conductor may have written its end: then the state is not ours to change.
        ended: Literal["cancelled", "interrupted"] = "cancelled" if store.runs.wish_of(run.id) == "cancel" else "interrupted"
        if not is_alive(home, run.id) and store.runs.replace_state(run.id, ("queued", "running"), ended, ended=time.time(), pid=None):
            plan = store.runs.plan(run.id)
            for stage in store.runs.stages(run.id):
                if stage.state == "running":
                    sweep_unpublished(store, home, plan[stage.position])
                    store.runs.change_stage(run.id, stage.position, ended, ended=time.time())
            if ended == "interrupted":
                lost.append(run)
    return tuple(lost)
