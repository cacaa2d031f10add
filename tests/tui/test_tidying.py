"""Garbage is looked for while nobody waits for an answer."""

from __future__ import annotations

import gc

import pytest

from tui import tidying
from tui.tidying import Tidying


class Clock:
    """Time that a test sets."""

    now = 100.0

    def __call__(self) -> float:
        """The moment."""
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The time, in a process where a full collection is worth it."""
    made = Clock()
    monkeypatch.setattr("time.monotonic", made)
    monkeypatch.setattr("gc.get_count", lambda: (0, 0, tidying.WORTH_IT))
    return made


def test_nothing_is_collected_while_keys_come(clock: Clock) -> None:
    """A full collection waits until no key has come for a while."""
    tidy = Tidying()
    tidy.key_came()
    assert not tidy.tidy()
    clock.now += tidying.QUIET_SECONDS
    tidy.key_came()
    assert not tidy.tidy()
    clock.now += tidying.QUIET_SECONDS
    assert tidy.tidy()


def test_garbage_goes(clock: Clock) -> None:
    """What refers to itself is freed by it."""

    class Ring(list[object]):
        pass

    ring = Ring()
    ring.append(ring)
    gc.collect(1)  # old by now
    del ring
    tidy = Tidying()
    clock.now += tidying.QUIET_SECONDS
    assert tidy.tidy()
    assert not [one for one in gc.get_objects() if type(one) is Ring]


def test_pythons_own_full_collections_become_rare_and_come_back() -> None:
    """Only for as long as the UI runs."""
    before = gc.get_threshold()
    made = Tidying()
    made.begin()
    assert gc.get_threshold() == (*before[:2], tidying.RARELY)
    made.end()
    assert gc.get_threshold() == before
    made.end()
    assert gc.get_threshold() == before
