"""Workers that are killed from outside or crash: the UI stays and names the cause, every time."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from textual.pilot import Pilot

from appliance.domain.home import Home
from appliance.services.workbench import Workbench
from appliance.texts.speech import explain_code
from scripts.screens.sample_home import rows_of
from tests.tui.support import play, until_seen
from tui.screens.run import RunScreen
from tui.words import t

TIMES = 20


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_twenty_workers_die_and_the_ui_names_each_cause(tmp_path: Path) -> None:
    """SIGKILL and SIGSEGV by turns: each run's page says what happened, what to do and which key goes on."""
    source = tmp_path / "records.jsonl"
    source.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows_of(2000)), "utf-8")
    home = Home(tmp_path / "home")
    workbench = Workbench(home)
    codes: list[str] = []

    async def story(pilot: Pilot[Any]) -> None:
        for number in range(TIMES):
            blow = signal.SIGSEGV if number % 2 else signal.SIGKILL
            run = workbench.datasets.start_import(source, f"records-{number}")
            _strike(workbench, run.id, blow)
            failure = workbench.runs.wait(run.id).failure
            codes.append(failure["code"])
            await pilot.app.push_screen(RunScreen(run.id))
            message, _ = explain_code(failure["code"], failure["parameters"])
            shown = await until_seen(pilot, t("run.press_resume"))
            assert message[:12] in shown
            await pilot.press("escape")

    play(home, story, (120, 40))
    workbench.close()
    assert codes == ["worker_killed", "worker_crashed"] * (TIMES // 2)


def _strike(workbench: Workbench, run_id: str, blow: signal.Signals) -> None:
    """Hold the run's worker as soon as it is there, then strike."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        pid = workbench.runs.get(run_id).pid
        children = psutil.Process(pid).children() if pid and psutil.pid_exists(pid) else []
        if children:
            children[0].suspend()
            children[0].send_signal(blow)
            children[0].resume()
            return
        time.sleep(0.005)
    raise AssertionError("no worker was seen")
