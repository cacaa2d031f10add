"""Training in a real worker process that is killed without warning."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from appliance.domain.event import Event, Notice, Progress, Started, from_line
from tests.stages.train.training import Trained

pytestmark = pytest.mark.slow

SETTINGS: dict[str, Any] = {"save_steps": 2, "epochs": 60.0}


def worker(trained: Trained, folder: Path) -> subprocess.Popen[bytes]:
    """The stage in a worker of its own."""
    spec = folder / "spec.json"
    spec.write_bytes(msgspec.json.encode(trained.spec))
    with (folder / "log").open("ab") as log:
        return subprocess.Popen([sys.executable, "-m", "appliance.running.worker", "train", str(spec)], stdout=subprocess.PIPE, stderr=log)


def events_until_training(process: subprocess.Popen[bytes]) -> list[Event]:
    """What the worker says up to its first word about steps."""
    assert process.stdout is not None
    heard: list[Event] = []
    for line in process.stdout:
        heard.append(from_line(line))
        if isinstance(heard[-1], Progress) and any(isinstance(event, Started) and event.what == "training" for event in heard):
            break
    return heard


def test_kills_lose_nothing_that_was_saved(qwen2: Path, tmp_path: Path) -> None:
    """Killed again and again at any moment, also while a checkpoint is written, the run ends as the unbroken one."""
    unbroken = Trained(qwen2, tmp_path / "unbroken", **SETTINGS).run()
    trained = Trained(qwen2, tmp_path / "killed", **SETTINGS)
    chance = random.Random(7)
    resumed: list[int] = []
    for _ in range(8):
        with worker(trained, tmp_path) as process:
            heard = events_until_training(process)
            resumed += [event.parameters["step"] for event in heard if isinstance(event, Notice) and event.code == "training_resumed"]
            assert not any(isinstance(event, Notice) and event.code == "checkpoint_broken" for event in heard)
            time.sleep(chance.uniform(0.05, 0.4))
            process.kill()
    assert resumed == sorted(resumed)
    assert resumed
    with worker(trained, tmp_path) as process:
        process.communicate()
    assert process.returncode == 0, (tmp_path / "log").read_text()
    assert trained.history.steps == unbroken.history.steps


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
    assert process.returncode == 143
    # Beside it lie the best weights so far, which nothing is resumed from.
    (checkpoint,) = Path(trained.spec.checkpoints).glob("step-*")
    with worker(trained, tmp_path) as process:
        heard = events_until_training(process)
        process.kill()
    step = int(checkpoint.name.removeprefix("step-"))
    assert [event.parameters["step"] for event in heard if isinstance(event, Notice) and event.code == "training_resumed"] == [step]
