"""SIGTERM inside a worker: by default it ends the stage at once, tidily; a stage with something to save may defer it.

A stage that is told to stop leaves by ``Stopped``, a ``BaseException`` like ``KeyboardInterrupt``, so that no ``except Exception`` of a
library swallows it, while ``finally`` blocks and context managers still remove what is half-written.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


class Stopped(BaseException):
    """The stage was asked to stop; the conductor knows whether that is a cancel or an interruption."""


_asked = False
_deferring = False


def install() -> None:
    """Make SIGTERM raise ``Stopped`` in this process's main thread; SIGINT is the front end's business and ignored here."""
    signal.signal(signal.SIGTERM, _on_term)
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@contextmanager
def deferred() -> Iterator[Callable[[], bool]]:
    """Within the block SIGTERM only sets a flag, which the given function reads; the stage saves, then raises ``Stopped`` itself.

    Such blocks may lie in one another.
    """
    global _deferring
    was_deferring, _deferring = _deferring, True
    try:
        yield lambda: _asked
    finally:
        _deferring = was_deferring


def _on_term(_signal: int, _frame: FrameType | None) -> None:
    global _asked
    _asked = True
    if not _deferring:
        raise Stopped
