"""One training under attack: started, killed, looked at and resumed through the product's own services and processes."""

from __future__ import annotations

import json
import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from appliance.domain.event import Notice, Progress, Started
from appliance.domain.run import Run
from appliance.processes.locks import is_held
from appliance.running.launch import is_alive
from appliance.services.recipes import compose_recipe
from appliance.services.training_choice import TrainingChoice
from appliance.services.workbench import Workbench
from scripts.resume_attack.checkpoints import FILES, being_written, checkpoints_in, damage, is_whole
from scripts.resume_attack.tally import SAVE_STEPS, Tally

RECIPE = {
    "max_steps": 120, "epochs": 3, "max_length": 96, "batch_size": 2, "micro_batch_size": 2, "rank": 64, "dropout": 0.05,
    "save_steps": SAVE_STEPS, "eval_steps": 15, "checkpointing": "none",
}  # fmt: skip
"""Small steps, and checkpoints of 13 MB, whose writing takes long enough to be hit."""
DAMAGED_SHARE = 0.1
"""Of kills after which a byte of the newest checkpoint is changed."""
PATIENCE = 300.0
"""Seconds in which anything that is waited for has to happen."""


class Training:
    """One training under attack."""

    def __init__(self, workbench: Workbench, name: str, chance: random.Random, tally: Tally) -> None:
        self._bench, self._chance, self._tally = workbench, chance, tally
        self._run = start_training(workbench, name)
        self._name = name
        (planned,) = workbench.store.runs.plan(self._run.id)
        self._output = Path(planned.spec["output"])
        self._checkpoints = workbench.home.checkpoints(self._run.id)
        self._heard = self._lives = 0
        self._expected = self._completed = 0
        """The steps that the next life has to begin from, and that the lives before are known to have done."""
        self._broken: set[int] = set()
        self._excused = False
        self._left: set[tuple[str, int]] = set()

    def attack(self, aim: str) -> bool:
        """Let the training live, kill it and look what is left; False if it was over before that."""
        if self._lives:
            self._run = self._bench.runs.resume(self._run.id)
        self._lives += 1
        worker = until("a worker", self._worker)
        wait = {"writing": self._wait_for_writing, "publishing": self._wait_for_publishing, "any": self._wait}[aim]
        with_conductor = aim == "publishing" or self._chance.random() < 0.5
        half_published = False
        if isinstance(worker, psutil.Process) and wait(worker):
            self._kill(worker, with_conductor)
            half_published = self._output.with_name(self._output.name + ".partial").exists()
            self._bench.runs.recognise_lost()
        self._wait_for_end()
        began = self._hear()
        if self._state() == "done":
            return False
        if not with_conductor and (code := self._bench.runs.get(self._run.id).failure.get("code")) != "worker_killed":
            self._fault(f"failed by {code}")
        self._tally.kills += 1
        self._tally.with_conductor += with_conductor
        self._tally.publishing += half_published
        self._tally.starting += not began
        self._look()
        return True

    def finish(self) -> None:
        """Let the training come to its end in peace and remember how it got there."""
        if self._state() != "done":
            if self._lives:
                self._run = self._bench.runs.resume(self._run.id)
            self._lives += 1
            self._bench.runs.wait(self._run.id)
            self._wait_for_end()
            self._hear()
        if self._state() != "done":
            self._fault(f"ended as {self._state()}: {self._bench.runs.get(self._run.id).failure}")
            return
        self._bench.models.verify(self._name)
        left = [str(path) for path in self._bench.home.root.rglob("*.partial")]
        if left or self._checkpoints.exists():
            self._fault(f"left behind: {left or self._checkpoints}")

    @property
    def failed(self) -> bool:
        """Whether there is nothing to compare."""
        return self._state() != "done"

    @property
    def story(self) -> tuple[list[Any], list[Any], bytes]:
        """Steps, validations and weights of the finished training."""
        history = json.loads((self._output / "training.json").read_bytes())["history"]
        return history["steps"], history["validations"], (self._output / FILES[0]).read_bytes()

    def _worker(self) -> psutil.Process | str | None:
        """The worker once there is one; a word if the run ended without."""
        try:
            children = psutil.Process(self._bench.runs.get(self._run.id).pid or -1).children()
        except (psutil.NoSuchProcess, ValueError):
            return None if self._state() in ("queued", "running") else "over"
        return next((child for child in children if "appliance.running.worker" in child.cmdline()), None)

    def _wait_for_writing(self, worker: psutil.Process) -> bool:
        """Wait for one of the next checkpoints, for one of its files, and some milliseconds more."""
        passed, which, last_file = set[str](), self._chance.randrange(3), self._chance.choice(("", *FILES))
        longer = self._chance.uniform(0.0, 0.02 if last_file == FILES[-1] else 0.006)
        while lives(worker):
            for _ in range(100):
                found = being_written(self._checkpoints, self._broken)
                if found is not None:
                    passed.add(found[2].name)
                    if len(passed) > which and (found[2] / last_file).exists():
                        time.sleep(longer)
                        return True
                time.sleep(0.0003)
        return False

    def _wait_for_publishing(self, worker: psutil.Process) -> bool:
        partial = self._output.with_name(self._output.name + ".partial")
        while lives(worker):
            if partial.exists():
                time.sleep(self._chance.uniform(0.0, 0.02))
                return True
            time.sleep(0.001)
        return False

    def _wait(self, worker: psutil.Process) -> bool:
        """Any moment: as a rule a third before training, the others while it goes on."""
        if self._chance.random() < 0.33:
            time.sleep(self._chance.uniform(0.0, 6.0))
            return True
        while lives(worker):
            if any(isinstance(one.event, Progress) for one in self._news_of_training()):
                time.sleep(self._chance.uniform(0.0, 1.0))
                return True
            time.sleep(0.05)
        return False

    def _kill(self, worker: psutil.Process, with_conductor: bool) -> None:
        conductor = self._bench.runs.get(self._run.id).pid
        try:
            os.killpg(worker.pid, signal.SIGKILL)
            if with_conductor and conductor:
                os.kill(conductor, signal.SIGKILL)
        except ProcessLookupError:
            return  # it ended by itself a moment before
        lock = self._bench.home.run(self._run.id) / "worker.lock"
        until("the worker's death", lambda: not is_held(lock))
        if with_conductor:
            until("the conductor's death", lambda: not is_alive(self._bench.home, self._run.id))

    def _news_of_training(self) -> list[Any]:
        """What the present life has said since it began to train."""
        news = list(self._bench.runs.events(self._run.id, self._heard))
        began = [place for place, one in enumerate(news) if isinstance(one.event, Started) and one.event.what == "training"]
        return news[began[0] :] if began else []

    def _hear(self) -> bool:
        """Compare what this life says of its beginning with what the last one left; whether it came so far."""
        news, training = list(self._bench.runs.events(self._run.id, self._heard)), self._news_of_training()
        self._heard = max((one.id for one in news), default=self._heard)
        if not training:
            return False
        notices = [one.event for one in news if isinstance(one.event, Notice)]
        resumed = next((notice.parameters["step"] for notice in notices if notice.code == "training_resumed"), 0)
        told_broken = {int(notice.parameters["name"][-8:]) for notice in notices if notice.code == "checkpoint_broken"}
        self._tally.resumes += self._lives > 1
        self._tally.from_broken += resumed in self._broken
        if (resumed, told_broken) != (self._expected, self._broken):
            told = f"told of {sorted(told_broken)} as broken instead of {sorted(self._broken)}"
            self._fault(f"resumed from {resumed}, not {self._expected}; {told}")
        if not self._excused:
            self._tally.largest_loss = max(self._tally.largest_loss, self._completed - resumed)
        self._broken, self._excused, self._expected = set(), False, resumed
        self._completed = max([resumed, *(one.event.done for one in training if isinstance(one.event, Progress))])
        return True

    def _look(self) -> None:
        """What the dead have left, and what the next life has to make of it."""
        published, passing = checkpoints_in(self._checkpoints)
        steps, written = published["step"], being_written(self._checkpoints, self._broken)
        left = {(place.name, place.stat().st_ino) for _, _, place in passing}
        if written is not None and (written[2].name, written[2].stat().st_ino) not in self._left:
            self._tally.inside += 1
            there = [name for name in FILES if (written[2] / name).exists()]
            self._tally.add({"last_written": {there[-1] if there else "folder": 1}})
            self._completed = max(self._completed, written[1])
        elif left - self._left:
            self._tally.removing += 1
        self._left = left
        self._completed = max([self._completed, *steps[:1]])
        self._judge_checkpoints(steps)
        if self._bench.store.models.find(self._name) is not None or self._output.exists():
            self._fault(f"announced although the run is {self._state()}")

    def _judge_checkpoints(self, steps: list[int]) -> None:
        """Which step has to be resumed from; sometimes the newest checkpoint is damaged first."""
        places = {step: self._checkpoints / f"step-{step:08d}" for step in steps}
        torn = {step for step, place in places.items() if not is_whole(place)}
        if torn - self._broken:
            self._fault(f"published and not whole: {torn - self._broken}")
        if not torn and len(steps) > 1 and self._chance.random() < DAMAGED_SHARE:
            damage(self._chance.choice(sorted(places[steps[0]].iterdir())), self._chance)
            torn = {steps[0]}
            self._excused = True
            self._tally.damaged += 1
        self._broken = torn
        self._expected = next((step for step in steps if step not in torn), 0)

    def _wait_for_end(self) -> None:
        until("the end of the run", lambda: not is_alive(self._bench.home, self._run.id))

    def _state(self) -> str:
        return self._bench.runs.get(self._run.id).state

    def _fault(self, told: str) -> None:
        self._tally.faults.append(f"{self._name}, life {self._lives}: {told}")


def start_training(workbench: Workbench, name: str) -> Run:
    """Start a training of the teaching base."""
    settings = [f"training.{key}={value}" for key, value in RECIPE.items()]
    recipe = compose_recipe(assignments=settings)
    return workbench.models.start_training(
        TrainingChoice("base", "rows-train", recipe, "rows-validation", "cpu", without_redaction=True), name
    )


def until(what: str, happened: Callable[[], Any], pause: float = 0.01) -> Any:
    """Wait for something; raises TimeoutError if it does not happen."""
    deadline = time.monotonic() + PATIENCE
    while not (found := happened()):
        if time.monotonic() > deadline:
            raise TimeoutError(what)
        time.sleep(pause)
    return found


def lives(worker: psutil.Process) -> bool:
    """Whether a process runs; one that waits to be reaped does not."""
    try:
        return bool(worker.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
