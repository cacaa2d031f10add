"""One run: its stages as steps, how far it is, its curves drawn live, its notices in plain words, its log."""

from __future__ import annotations

import time
from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.worker import get_current_worker

from appliance.domain.event import Metric, Notice
from appliance.domain.run import Run, StageRecord
from appliance.services.gpu import gpus_now
from appliance.services.progress import RunProgress
from appliance.texts.speech import explain_code, say
from tui.command_keys import in_keys
from tui.follow import RunStory, follow_run
from tui.keys import bindings
from tui.screens.place import PlaceScreen
from tui.screens.run_actions import can_be, cancel_run, resume_run
from tui.widgets.curves import Curves
from tui.widgets.plain import Plain, harmless
from tui.widgets.steps import Steps, gpu_line, progress_line
from tui.words import t

LOG_LINES = 200
GPU_LOOK_EVERY = 5.0
"""Seconds."""
SHOWN_NOTICES = 6
MADE_BY = {
    "ingest": "raw",
    "mix": "raw",
    "clean": "cleaned",
    "redact": "redacted",
    "split": "divided",
    "adopt": "base",
    "train": "trained",
    "export": "exported",
}
"""What a run whose last such stage is this one has made."""


class RunScreen(PlaceScreen):
    """A run's page; leaving it changes nothing about the run."""

    PLACE = "runs"
    PAGE = "run"
    CSS_PATH = "run.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [*bindings("run")]

    def __init__(self, run_id: str) -> None:
        super().__init__()
        self.run_id = run_id
        self.run_row: Run | None = None
        self.stages: tuple[StageRecord, ...] = ()
        self.progress = RunProgress()
        self._told: list[str] = []
        self._offered_for: tuple[str, bool] | None = None
        """What the keys were offered for: the run's state, and whether there are curves."""

    def compose_body(self) -> ComposeResult:
        """Steps at the left, figures and curves at the right, words below."""
        with Vertical(classes="body"):
            yield Plain("", id="heading")
            with Horizontal(id="middle"):
                yield Steps(id="steps")
                with Vertical(id="figures"):
                    yield Plain("", id="progress")
                    yield Plain("", id="gpus")
                    yield Curves(id="curves")
            yield Plain("", id="words")
            yield Plain("", id="log", classes="quiet")

    def on_mount(self) -> None:
        """Begin to read the run's story."""
        super().on_mount()
        self.query_one("#log").display = False
        self.read_story()
        self.look_at_gpus()

    @work(thread=True, exclusive=True, group="gpus")
    def look_at_gpus(self) -> None:
        """Memory and temperature of the GPUs while the page is open, where there are any."""
        worker = get_current_worker()
        while not worker.is_cancelled and self.is_attached and (gpus := gpus_now()):
            self.app.call_from_thread(self.query_one("#gpus", Plain).show, "\n".join(map(gpu_line, gpus)))
            until = time.monotonic() + GPU_LOOK_EVERY
            while not worker.is_cancelled and time.monotonic() < until:
                time.sleep(0.1)

    @work(thread=True, exclusive=True, group="story")
    def read_story(self) -> None:
        """Everything from the beginning, then whatever comes."""
        worker = get_current_worker()
        with self.app.desk.opened() as workbench:
            follow_run(workbench, self.run_id, self.post_message, lambda: worker.is_cancelled or not self.is_attached)

    def on_run_story(self, story: RunStory) -> None:
        """Fold what is new into what is shown."""
        self.run_row, self.stages = story.run, story.stages
        curves = self.query_one(Curves)
        for recorded in story.events:
            self.progress.feed(recorded)
            if isinstance(recorded.event, Metric):
                curves.add(recorded.event.name, recorded.event.step, recorded.event.value)
            elif isinstance(recorded.event, Notice):
                sign = "!" if recorded.event.level == "warning" else "·"
                self._told.append(f"{sign} {in_keys(say('notices', recorded.event.code, **recorded.event.parameters))}")
        curves.draw()
        if (now := (story.run.state, curves.has_points)) != self._offered_for:
            self._offered_for = now
            self.refresh_bindings()
        self._show()

    def _show(self) -> None:
        run = self.run_row
        if run is None:
            return
        self.query_one("#heading", Plain).show(f"{harmless(run.name)}  ·  {t('runs.state_' + run.state)}  ·  {run.id}")
        self.query_one(Steps).show_stages(self.stages)
        self.query_one("#progress", Plain).show(self._how_far() if run.state == "running" else "")
        self.query_one("#words", Plain).show("\n".join(self._words(run)))

    def _how_far(self) -> str:
        """How far the present stage is."""
        stage = self.progress.of_running(self.stages)
        return progress_line(stage) if stage else t("run.starting")

    def _words(self, run: Run) -> list[str]:
        if run.state == "failed":
            message, hint = map(in_keys, explain_code(run.failure["code"], run.failure.get("parameters", {})))
            last = str(run.failure.get("log", "")).strip().splitlines()[-3:]
            return [f"✘ {message}", f"{t('dialog.hint')} {hint}", t("run.press_resume"), *last]
        if run.state in ("interrupted", "cancelled"):
            return [t(f"runs.about_{run.state}")]
        told = self._told[-SHOWN_NOTICES:]
        return [f"✔ {_what_is_next(self.stages)}", *told] if run.state == "done" else told

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Only keys that do something now are offered."""
        if action in ("cancel_run", "resume_run"):
            return self.run_row is not None and can_be(action, self.run_row)
        return self.query_one(Curves).has_points if action == "next_curve" and self.is_mounted else True

    def action_back(self) -> None:
        """To the list of runs."""
        self.dismiss(None)

    def action_cancel_run(self) -> None:
        """End the run for good."""
        if self.run_row is not None:
            cancel_run(self.app, self.run_row)

    def action_resume_run(self) -> None:
        """Go on with the run."""
        if self.run_row is not None:
            resume_run(self.app, self.run_row)

    def action_next_curve(self) -> None:
        """Draw the next figure."""
        self.query_one(Curves).next()

    async def action_toggle_log(self) -> None:
        """The last lines of the stage's log instead of the notices."""
        log = self.query_one("#log", Plain)
        log.display = not log.display
        self.query_one("#middle").display = not log.display
        position = self.progress.stage.position if self.progress.stage else 0
        if log.display:
            lines = await self.app.ask(lambda workbench: workbench.runs.log_tail(self.run_id, position, LOG_LINES))
            log.show("\n".join(lines or ()) or t("run.log_empty"))


def _what_is_next(stages: tuple[StageRecord, ...]) -> str:
    """What was made, where it is, and what is usually done with it."""
    made = next((MADE_BY[record.stage] for record in reversed(stages) if record.stage in MADE_BY), "other")
    return t(f"run.done_{made}")
