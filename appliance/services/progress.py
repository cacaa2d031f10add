"""What a run looks like right now: events folded into stage, share done, rate, time left and newest figures."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from appliance.domain.event import Artifact, Metric, Notice, Produced, Progress, RecordedEvent, Started
from appliance.domain.run import StageRecord


@dataclass
class StageProgress:
    """One stage while it goes on; times are seconds since 1970."""

    position: int
    began: float
    what: str = ""
    unit: str = ""
    total: int | None = None
    done: int = 0
    part_began: float = 0.0
    left_before: int = 0
    """Units that were done when the part began."""
    last_event: float = 0.0
    metrics: dict[str, float] = field(default_factory=dict)
    artifacts: list[Artifact] = field(default_factory=list)

    @property
    def share(self) -> float | None:
        """Part done, 0 to 1, or None when the total is unknown."""
        return min(1.0, self.done / self.total) if self.total else None

    @property
    def rate(self) -> float | None:
        """Units per second since the part began."""
        elapsed = self.last_event - self.part_began
        done = self.done - self.left_before
        return done / elapsed if done > 0 and elapsed > 0 else None

    @property
    def seconds_left(self) -> float | None:
        """Estimate for the rest of this part."""
        if self.total is None or not self.rate:
            return None
        return max(0.0, (self.total - self.done) / self.rate)


class RunProgress:
    """Folds a run's events, one after the other."""

    def __init__(self) -> None:
        self.stage: StageProgress | None = None
        self.notices: list[Notice] = []

    def of_running(self, stages: Iterable[StageRecord]) -> StageProgress | None:
        """That of the stage that runs; None until it has told something: what was told last is about another one then."""
        running = running_position(stages)
        return self.stage if self.stage is not None and running in (None, self.stage.position) else None

    def feed(self, recorded: RecordedEvent) -> StageProgress:
        """Take one event in; the stage as it is now. An event of a new stage begins that stage."""
        if self.stage is None or self.stage.position != recorded.position:
            self.stage = StageProgress(recorded.position, recorded.at, part_began=recorded.at)
        stage = self.stage
        stage.last_event = recorded.at
        match recorded.event:
            case Started(total, unit, what, done):
                stage.total, stage.unit, stage.what, stage.done, stage.part_began = total, unit, what, done, recorded.at
                stage.left_before = done
            case Progress(done):
                stage.done = done
            case Metric(name, _, value):
                stage.metrics[name] = value
            case Notice():
                self.notices.append(recorded.event)
            case Produced(artifact):
                stage.artifacts.append(artifact)
        return stage


def running_position(stages: Iterable[StageRecord]) -> int | None:
    """Place of the stage that runs among those of its run; None between two of them."""
    return next((one.position for one in stages if one.state == "running"), None)
