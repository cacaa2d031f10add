"""Locks that end with the process that holds them: ``flock`` on a file, valid across containers that share the volume."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

_ATTEMPTS = 5
_ATTEMPT_PAUSE = 0.01
_LOOK_AGAIN = 0.2


class HeldLock:
    """A lock that this process holds until ``release`` or its end; children do not inherit it."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._descriptor: int | None = descriptor

    def fileno(self) -> int:
        """The open file that carries the lock; a process that inherits it keeps the lock when this one lets go."""
        if self._descriptor is None:
            raise ValueError("the lock was released")
        return self._descriptor

    def release(self) -> None:
        """Let go; the file stays. A second call does nothing."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def __enter__(self) -> HeldLock:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.release()


def try_lock(path: Path) -> HeldLock | None:
    """Take the lock now, or None if another process (or another holder in this one) has it. Makes the file and its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    for attempt in range(_ATTEMPTS):
        # Somebody who only asks whether the lock is held has it for some microseconds: one refusal is not an answer.
        if attempt:
            time.sleep(_ATTEMPT_PAUSE)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o660)
        if _take(descriptor, fcntl.LOCK_EX) and _is_still(path, descriptor):
            return HeldLock(path, descriptor)
        os.close(descriptor)
    return None


def wait_for_lock(path: Path, stop: Callable[[], bool]) -> HeldLock | None:
    """Take the lock as soon as it is free, looking five times a second; None once ``stop`` says so."""
    while not stop():
        if (held := try_lock(path)) is not None:
            return held
        time.sleep(_LOOK_AGAIN)
    return None


def is_held(path: Path) -> bool:
    """Whether any process has the lock; a missing file is nobody's."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        return not _take(descriptor, fcntl.LOCK_SH)
    finally:
        os.close(descriptor)


def _take(descriptor: int, how: int) -> bool:
    try:
        fcntl.flock(descriptor, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_still(path: Path, descriptor: int) -> bool:
    """Whether ``path`` is the locked file; it may have been removed between opening and locking."""
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False
