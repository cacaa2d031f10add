"""``greenwave runs show``: curves of what a run has measured."""

from __future__ import annotations

import time

from appliance.domain.event import Metric
from appliance.domain.run import PlannedStage, Run
from appliance.services.workbench import Workbench
from tests.cli.conftest import Greenwave


def test_curves_are_shown_and_thinned(greenwave: Greenwave) -> None:
    """On a screen a line of blocks for each loss; as JSON at most 2,000 points of each metric, with how many there were."""
    store = Workbench().store
    store.runs.add(Run(id="run-1", name="r", state="done", created=time.time()), [PlannedStage(stage="train", spec={})])
    falling = [(1.0, Metric(name, step, 3.0 - step / 3000)) for step in range(1, 6001) for name in ("loss", "gradient_norm")]
    store.events.append("run-1", 0, falling)
    curves = {curve["name"]: curve for curve in greenwave("runs", "show", "r", "--json").json["curves"]}
    assert set(curves) == {"loss", "gradient_norm"}
    assert (curves["loss"]["total"], curves["loss"]["last"]) == (6000, 1.0)
    assert len(curves["loss"]["points"]) <= 2000
    shown = greenwave("runs", "show", "r").out
    assert "3.00 █" in shown
    assert "▁ 1.00" in shown
