"""What the UI does by itself: it goes on with interrupted work when it comes, and leaves tidily when it is told to."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from appliance.domain.home import Home
from appliance.domain.recipe import CleaningRecipe
from appliance.domain.run import Run
from appliance.services.planning import DatasetRef
from appliance.services.workbench import Workbench
from scripts.screens.terminal import Terminal
from tests.tui.support import play, until_seen
from tui.words import t


@pytest.fixture
def interrupted(tmp_path: Path) -> Run:
    """A run that was interrupted before it could clean the dataset ``rows``, in the home ``tmp_path / "home"``."""
    source = tmp_path / "records.jsonl"
    source.write_text('{"instruction": "a", "output": "b"}\n', "utf-8")
    workbench = Workbench(Home(tmp_path / "home"))
    workbench.runs.wait(workbench.datasets.start_import(source, "rows").id)
    run_id, plan = workbench.runs.new_plan()
    plan.clean(DatasetRef.of(workbench.datasets.get("rows")), "cleaned", CleaningRecipe())
    run = Run(id=run_id, name="cut-off", state="interrupted", created=time.time())
    workbench.store.runs.add(run, plan.stages)
    workbench.close()
    return run


def test_interrupted_work_goes_on_when_the_ui_comes(tmp_path: Path, interrupted: Run) -> None:
    """The start says which runs go on, and they are done."""
    home = Home(tmp_path / "home")

    async def story(pilot: Pilot[Any]) -> None:
        await until_seen(pilot, t("runs.resumed_at_start", runs="cut-off")[:6])

    play(home, story, (120, 40), resumes=True)
    workbench = Workbench(home)
    assert workbench.runs.wait(interrupted.id).state == "done"
    workbench.close()


def test_switched_off_it_waits(tmp_path: Path, interrupted: Run) -> None:
    """Without being asked for, nothing is resumed."""
    home = Home(tmp_path / "home")

    async def story(pilot: Pilot[Any]) -> None:
        await until_seen(pilot, "cut-off")

    play(home, story, (120, 40))
    assert Workbench(home).runs.get(interrupted.id).state == "interrupted"


def test_told_to_end_it_gives_the_terminal_back(tmp_path: Path) -> None:
    """SIGTERM closes the UI: back from the alternate screen, the cursor shown, no mouse reports, status 0."""
    with Terminal(tmp_path / "home", (80, 24)) as terminal:
        terminal.wait_for("首页")
        os.kill(terminal.pid, signal.SIGTERM)
        terminal.wait_for("\x1b[?1049l")
        terminal.wait_for("\x1b[?25h")
        terminal.wait_for("\x1b[?1003l")
        assert os.waitstatus_to_exitcode(os.waitpid(terminal.pid, 0)[1]) == 0
