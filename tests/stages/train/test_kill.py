"""Training in a real worker process that is killed without warning or told to leave."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from appliance.domain.event import Event, Notice, Progress, Started, from_line
from appliance.processes.stopping import STOPPED
from tests.architecture.source import HOUSE
from tests.stages.train.stuck_worker import STUCK
from tests.stages.train.training import Trained

pytestmark = pytest.mark.slow


def worker(trained: Trained, folder: Path, program: str = "appliance.running.worker") -> subprocess.Popen[bytes]:
    """The stage in a worker of its own."""
    spec = folder / "spec.json"
    spec.write_bytes(msgspec.json.encode(trained.spec))
    with (folder / "log").open("ab") as log:
        return subprocess.Popen([sys.executable, "-m", program, "train", str(spec)], stdout=subprocess.PIPE, stderr=log)


def events_until_training(process: subprocess.Popen[bytes]) -> list[Event]:
    """What the worker says up to its first word about steps."""
    assert process.stdout is not None
    heard: list[Event] = []
    for line in process.stdout:
        heard.append(from_line(line))
        if isinstance(heard[-1], Progress) and any(isinstance(event, Started) and event.what == "training" for event in heard):
            break
    return heard


@pytest.mark.timeout(1200)
def test_kills_lose_nothing_that_was_saved() -> None:
    """Killed twenty times, half of them inside a checkpoint's writing, trainings are resumed from whole checkpoints to the same end."""
    command = [sys.executable, str(HOUSE / "scripts/attack-resume"), "--kills", "20"]
    attacked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert attacked.returncode == 0, attacked.stdout + attacked.stderr


def test_sigterm_in_a_step_without_end_saves_the_last_one(qwen2: Path, tmp_path: Path) -> None:
    """A worker that is stuck in a pass and hears nothing saves the last completed step, leaves within 30 s, and nothing is lost."""
    settings: dict[str, Any] = {"epochs": 4.0, "save_steps": 100, "keep_best": "last"}
    trained = Trained(qwen2, tmp_path / "t", **settings)
    with worker(trained, tmp_path, "tests.stages.train.stuck_worker") as process:
        deadline = time.monotonic() + 120
        while STUCK not in (tmp_path / "log").read_text():
            assert time.monotonic() < deadline and process.poll() is None, (tmp_path / "log").read_text()
            time.sleep(0.1)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
    assert process.returncode == STOPPED
    assert [path.name for path in Path(trained.spec.checkpoints).iterdir()] == ["step-00000004"]
    unbroken = Trained(qwen2, tmp_path / "unbroken", **settings).run()
    assert trained.run().history.steps == unbroken.history.steps


def test_sigterm_saves_and_leaves(qwen2: Path, tmp_path: Path) -> None:
    """A worker that gets SIGTERM leaves within seconds, and the next one goes on from the last completed step."""
    trained = Trained(qwen2, tmp_path / "t", epochs=900.0, save_steps=100_000)
    with worker(trained, tmp_path) as process:
        events_until_training(process)
        time.sleep(1.0)
        process.send_signal(signal.SIGTERM)
        asked = time.monotonic()
        process.communicate(timeout=30)
    assert time.monotonic() - asked < 10
    assert process.returncode == STOPPED
    # Beside it lie the best weights so far, which nothing is resumed from.
    (checkpoint,) = Path(trained.spec.checkpoints).glob("step-*")
    with worker(trained, tmp_path) as process:
        heard = events_until_training(process)
        process.kill()
    step = int(checkpoint.name.removeprefix("step-"))
    assert [event.parameters["step"] for event in heard if isinstance(event, Notice) and event.code == "training_resumed"] == [step]
