"""SIGTERM inside a worker: by default it ends the stage at once, tidily; a stage with something to save may defer it.

A stage that is told to stop leaves by ``Stopped``, a ``BaseException`` like ``KeyboardInterrupt``, so that no ``except Exception`` of a
library swallows it, while ``finally`` blocks and context managers still remove what is half-written. It is raised once: whoever asks
again, as a service manager and a conductor do one after the other, does not disturb the leaving.

Python hears a signal only between two of its own instructions, and one call into native code may take minutes: the backward pass of a
large base on a processor is a single one. ``saved_in_time`` is for that.
"""

from __future__ import annotations

import os
import signal
import socket
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

STOPPED = 143
"""Exit status after SIGTERM, as a shell would report it."""

LEAVES_WITHIN = 5.0
"""Seconds after SIGTERM in which the main thread can be expected to leave a block, unless it hears nothing."""


class Stopped(BaseException):
    """The stage was asked to stop; the conductor knows whether that is a cancel or an interruption."""


_asked = False
_raised = False
_deferring = False
_changing = threading.RLock()
"""Held while what a stage would save is being changed."""


def install() -> None:
    """Make SIGTERM raise ``Stopped`` in this process's main thread; SIGINT is the front end's business and ignored here."""
    global _asked, _raised
    _asked = _raised = False
    signal.signal(signal.SIGTERM, _on_term)
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def asked_to_stop() -> bool:
    """Whether SIGTERM has come, deferred or not."""
    return _asked


@contextmanager
def deferred() -> Iterator[Callable[[], bool]]:
    """Within the block SIGTERM only sets a flag, which the given function reads; the stage saves, then raises ``Stopped`` itself.

    Such blocks may lie in one another.
    """
    global _deferring
    with _changing:
        was_deferring, _deferring = _deferring, True
        try:
            yield asked_to_stop
        finally:
            _deferring = was_deferring


@contextmanager
def saved_in_time(save: Callable[[], None]) -> Iterator[None]:
    """Within the block SIGTERM is answered even while the main thread is held up by a call that takes long.

    If the main thread has not left the block within ``LEAVES_WITHIN``, another thread calls ``save`` and ends the process. Whatever
    ``save`` reads may be changed in ``deferred`` blocks only. For the main thread; without ``install`` it does nothing.
    """
    if signal.getsignal(signal.SIGTERM) is not _on_term:
        yield
        return
    heard, told = socket.socketpair()
    told.setblocking(False)
    has_left = threading.Event()
    watcher = threading.Thread(target=_save_if_nobody_leaves, args=(heard, has_left, save), name="saver", daemon=True)
    before = signal.set_wakeup_fd(told.fileno(), warn_on_full_buffer=False)
    watcher.start()
    try:
        yield
    finally:
        with _changing:  # if the other thread saves already, this waits for the end of the process
            has_left.set()
        signal.set_wakeup_fd(before)
        told.close()
        watcher.join()
        heard.close()


def _save_if_nobody_leaves(heard: socket.socket, has_left: threading.Event, save: Callable[[], None]) -> None:
    while signal.SIGTERM not in (signals := heard.recv(64)):
        if not signals:
            return
    if has_left.wait(LEAVES_WITHIN):
        return
    with _changing:
        if has_left.is_set():
            return
        try:
            save()
        except Stopped:
            pass
        except Exception:  # noqa: BLE001  # the log shall tell it, and the process has to end in any case
            traceback.print_exc()
        finally:
            os._exit(STOPPED)


def _on_term(_signal: int, _frame: FrameType | None) -> None:
    global _asked, _raised
    _asked = True
    if not _deferring and not _raised:
        _raised = True
        raise Stopped
