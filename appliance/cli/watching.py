"""Following a run on standard error: a line per stage, a live bar on a terminal, and what went wrong in the end."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Iterator
from types import FrameType, TracebackType
from typing import TYPE_CHECKING

from appliance.cli.output import narrate, to_terminal
from appliance.cli.wording import label
from appliance.domain.errors import ApplianceError, ExitCode
from appliance.domain.event import Notice, RecordedEvent
from appliance.domain.run import Run, StageRecord
from appliance.services.progress import RunProgress, StageProgress
from appliance.services.workbench import Workbench
from appliance.texts.foreign import printable
from appliance.texts.speech import human_amount, human_bytes, human_duration, say

if TYPE_CHECKING:
    from rich.live import Live

PLAIN_INTERVAL = 10.0
"""Seconds between two lines about the same stage when there is no terminal to redraw."""

_BAR_WIDTH = 24
_SHOWN_METRICS = ("loss", "validation_loss", "tokens_per_second")


class RunNarrator:
    """Tells a run's story while it happens."""

    def __init__(self, workbench: Workbench, run: Run) -> None:
        self._workbench = workbench
        self._run = run
        self._progress = RunProgress()
        self._live: Live | None = None
        self._last_plain = 0.0
        self._told_done: set[int] = set()
        self._names = [stage_name(record) for record in workbench.runs.stages(run.id)]

    def __enter__(self) -> RunNarrator:
        if to_terminal():
            from rich.console import Console
            from rich.live import Live

            self._live = Live(console=Console(stderr=True, highlight=False, markup=False), refresh_per_second=8, transient=True)
            self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._live is not None:
            self._live.stop()

    def feed(self, recorded: RecordedEvent) -> None:
        """Take one event in and show what changed."""
        before = self._progress.stage
        stage = self._progress.feed(recorded)
        if before is not None and before.position != stage.position:
            self.tell_ended_stages()
        if isinstance(recorded.event, Notice):
            self._say(f"  {_mark(recorded.event.level)} {say('notices', recorded.event.code, **recorded.event.parameters)}")
        self._show(stage)

    def tell_ended_stages(self) -> None:
        """One line for every stage that has ended since the last time."""
        for record in self._workbench.runs.stages(self._run.id):
            if record.ended is not None and record.started is not None and record.position not in self._told_done:
                self._told_done.add(record.position)
                self._say(ended_line(record))

    def _show(self, stage: StageProgress) -> None:
        line = self._line(stage)
        if self._live is not None:
            from rich.text import Text

            self._live.update(Text(printable(line), no_wrap=True, overflow="ellipsis"))
        elif stage.last_event - self._last_plain >= PLAIN_INTERVAL and stage.done:
            self._last_plain = stage.last_event
            narrate(line)

    def _line(self, stage: StageProgress) -> str:
        name = self._names[stage.position]
        part = say("stages", stage.what) if stage.what else name
        parts = [f"▸ {name}" if part == name else f"▸ {name} · {part}"]
        if stage.share is not None:
            filled = round(stage.share * _BAR_WIDTH)
            parts.append(f"{'█' * filled}{'░' * (_BAR_WIDTH - filled)} {stage.share:4.0%}")
        if stage.total or stage.done:
            parts.append(human_amount(stage.done, stage.total, stage.unit))
        if stage.rate and stage.unit == "bytes":
            parts.append(f"{human_bytes(stage.rate)}/s")
        parts += [f"{label(name)} {_figure(name, stage.metrics[name])}" for name in _SHOWN_METRICS if name in stage.metrics]
        if stage.seconds_left is not None and stage.done:
            parts.append(f"{label('time_left')} {human_duration(stage.seconds_left)}")
        return "  ".join(parts)

    def _say(self, line: str) -> None:
        if self._live is not None:
            self._live.console.print(printable(line))
        else:
            narrate(line)


def watch(workbench: Workbench, run: Run, is_ours: bool = True) -> Run:
    """Follow a run to its end. Raises the error that the run ended with, if it did not end well.

    Ctrl-C cancels a run that is ``is_ours``, the work of this very command; one that is only looked at goes on.
    """
    with RunNarrator(workbench, run) as narrator, _interrupts_noted() as interrupted:
        for recorded in workbench.runs.follow(run.id, until=interrupted):
            narrator.feed(recorded)
        narrator.tell_ended_stages()
        if interrupted() and is_ours:
            narrate(label("cancelling"))
            with contextlib.suppress(ApplianceError):
                workbench.runs.cancel(run.id)
    if interrupted():
        if is_ours:
            workbench.runs.wait(run.id)
        raise KeyboardInterrupt
    ended = workbench.runs.get(run.id)
    raise_if_unwell(ended)
    return ended


@contextlib.contextmanager
def _interrupts_noted() -> Iterator[Callable[[], bool]]:
    """Within the block Ctrl-C only sets a flag, which the given function reads.

    An exception in the middle of a query would leave its transaction open: the conductor could record nothing more, and nothing newer
    could be read.
    """
    noted = False

    def note(_signal: int, _frame: FrameType | None) -> None:
        nonlocal noted
        noted = True

    before = signal.getsignal(signal.SIGINT)
    if before is not signal.SIG_IGN:  # a shell lets what it starts in the background ignore Ctrl-C, and so it stays
        signal.signal(signal.SIGINT, note)
    try:
        yield lambda: noted
    finally:
        signal.signal(signal.SIGINT, before)


def raise_if_unwell(run: Run) -> None:
    """Raise the error that stands for a run which failed, was cancelled or was interrupted."""
    if run.state == "failed":
        failure = run.failure
        exit_code = ExitCode(failure.get("exit_code", ExitCode.RUN_FAILED))
        told = {**failure.get("parameters", {}), "run": run.id, "log": failure.get("log", "")}
        raise ApplianceError(failure["code"], exit_code, **told)
    if run.state == "cancelled":
        raise ApplianceError("run_cancelled", ExitCode.CANCELLED, run=run.id)
    if run.state == "interrupted":
        raise ApplianceError("run_interrupted", ExitCode.RUN_FAILED, run=run.id)


def stage_name(record: StageRecord) -> str:
    """What people call the stage."""
    return say("stages", record.title or record.stage)


def ended_line(record: StageRecord) -> str:
    """``✔ Train   48 s   410 MB``."""
    mark = {"done": "✔", "failed": "✘", "cancelled": "■", "interrupted": "‖"}.get(record.state, "·")
    seconds = (record.ended or 0.0) - (record.started or 0.0)
    return f"{mark} {stage_name(record)}  {human_duration(seconds)}  {human_bytes(record.peak_memory)}"


def _figure(name: str, value: float) -> str:
    return f"{value:,.0f}" if name.endswith("per_second") else f"{value:.4f}"


def _mark(level: str) -> str:
    return "!" if level == "warning" else "·"
