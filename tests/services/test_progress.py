"""A run's events folded into what a person sees of it."""

from __future__ import annotations

from appliance.domain.event import Event, Progress, RecordedEvent, Started
from appliance.services.progress import RunProgress


def test_what_an_earlier_try_has_left_counts_for_the_share_and_not_for_the_speed() -> None:
    """A copy that goes on at 800 of 1,000 bytes and copies 100 in 10 s is at 90 %, makes 10 bytes/s and needs 10 s more."""
    progress = RunProgress()
    events: list[tuple[float, Event]] = [(100.0, Started(1000, "bytes", "copy", 800)), (110.0, Progress(900))]
    for number, (at, event) in enumerate(events):
        stage = progress.feed(RecordedEvent(number, "run", 0, at, event))
    assert (stage.share, stage.rate, stage.seconds_left) == (0.9, 10.0, 10.0)


def test_a_copy_that_has_only_just_gone_on_promises_nothing() -> None:
    """Before the first new byte there is a share, and no speed to guess by."""
    stage = RunProgress().feed(RecordedEvent(1, "run", 0, 5.0, Started(1000, "bytes", "copy", 800)))
    assert (stage.share, stage.rate, stage.seconds_left) == (0.8, None, None)
