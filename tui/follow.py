"""The one bridge from the store to the screens: a thread looks at what was recorded and posts what is new."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from textual.message import Message

from appliance.domain.event import RecordedEvent
from appliance.domain.run import Run, StageRecord
from appliance.services.progress import RunProgress, StageProgress, running_position

if TYPE_CHECKING:
    from appliance.services.workbench import Workbench

LOOK_EVERY = 0.5
"""Seconds between two looks at the list of runs."""
STORY_EVERY = 0.25
"""Seconds between two looks at the run whose page is open."""
SHOWN_RUNS = 200
"""The newest runs are listed; older ones are reached by the command line."""


@dataclass(frozen=True)
class RunNow:
    """A run and how far its stage is."""

    run: Run
    stage: StageProgress | None = None
    stage_title: str = ""
    position: int = 0
    stages: int = 0


class RunsSeen(Message):
    """The runs, newest first, after something about them changed."""

    def __init__(self, runs: tuple[RunNow, ...]) -> None:
        super().__init__()
        self.runs = runs

    @property
    def active(self) -> RunNow | None:
        """The oldest run that goes on: the one that others wait for."""
        going = [one for one in self.runs if one.run.state in ("running", "queued")]
        return next((one for one in reversed(going) if one.run.state == "running"), going[-1] if going else None)


class RunStory(Message):
    """What was recorded about one run since the last of these."""

    def __init__(self, run: Run, stages: tuple[StageRecord, ...], events: list[RecordedEvent]) -> None:
        super().__init__()
        self.run = run
        self.stages = stages
        self.events = events


@dataclass
class _Followed:
    """How far one run's events have been read."""

    last_event: int = 0
    progress: RunProgress = field(default_factory=RunProgress)


def follow_runs(workbench: Workbench, post: Callable[[RunsSeen], object], is_over: Callable[[], bool]) -> None:
    """Look at the runs until ``is_over``, and post them whenever something has changed."""
    followed: dict[str, _Followed] = {}
    shown: tuple[object, ...] | None = None
    while not is_over():
        runs, moved = list(workbench.runs.newest(SHOWN_RUNS)), False
        listed = []
        for run in runs:
            if run.state not in ("running", "queued"):
                followed.pop(run.id, None)
                listed.append(RunNow(run))
                continue
            known = followed.setdefault(run.id, _Followed())
            for recorded in workbench.runs.events(run.id, known.last_event):
                known.progress.feed(recorded)
                known.last_event, moved = recorded.id, True
            stages = workbench.runs.stages(run.id)
            stage = known.progress.of_running(stages)
            position = stage.position if stage else running_position(stages) or 0
            title = (stages[position].title or stages[position].stage) if stages else ""
            listed.append(RunNow(run, stage, title, position, len(stages)))
        now = tuple((one.run.id, one.run.state, one.run.wish) for one in listed)
        if moved or now != shown:
            shown = now
            post(RunsSeen(tuple(listed)))
        if any(one.run.state in ("running", "queued") for one in listed):
            workbench.runs.recognise_lost()
        _nap(LOOK_EVERY, is_over)


def follow_run(workbench: Workbench, run_id: str, post: Callable[[RunStory], object], is_over: Callable[[], bool]) -> None:
    """Tell one run's whole story from its beginning, then whatever comes, until ``is_over``."""
    last, told = 0, None
    while not is_over():
        run, stages = workbench.runs.get(run_id), workbench.runs.stages(run_id)
        batch = list(workbench.runs.events(run_id, last))
        if batch or (run, stages) != told:
            last = batch[-1].id if batch else last
            told = (run, stages)
            post(RunStory(run, stages, batch))
        if not batch:
            _nap(STORY_EVERY, is_over)


def _nap(seconds: float, is_over: Callable[[], bool]) -> None:
    until = time.monotonic() + seconds
    while not is_over() and (left := until - time.monotonic()) > 0:
        time.sleep(min(0.1, left))
