"""What the container was started with: a volume of its own for the data, room for scratch, a driver for its GPU libraries.

What makes work impossible, or would lose it, is refused before anything starts; what only limits it is told. Each is one sentence and
a hint with what ``docker run`` was not told.
"""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from appliance.container.reserve import look_after_reserve
from appliance.domain.errors import ApplianceError, ExitCode
from appliance.domain.event import Notice
from appliance.domain.home import Home
from appliance.processes.locks import HeldLock, is_held, try_lock
from appliance.services.graphics import graphics_situation
from appliance.services.volume import require_own, require_volume

NEEDED_FREE = 64 << 20
"""Bytes on the volume below which little can be made there; what is there can still be looked at and removed."""
KEEPER_LOCK = "keeper.lock"
"""Below the home: held by the container that keeps the appliance there, its name inside."""

_NEED_NOTHING = frozenset({"-h", "--help", "--version"})
_TELLS_BY_ITSELF = "doctor"
"""The command that says what is wrong with the box, and must start on any."""


def look_around(arguments: Sequence[str], *, keeps: bool) -> Iterator[Notice]:
    """What will not work as well as it might. Raises the error that says why this container cannot do what it was started for.

    ``keeps`` says that it is to stay there for others.
    """
    if _NEED_NOTHING.intersection(arguments):
        return
    require_scratch()
    root = Home.from_environment().root
    if _TELLS_BY_ITSELF not in arguments[:1]:
        require_volume(root)
        require_own(root)
        look_after_reserve(root)
        yield from _limits(root, beside_keeper=not keeps)
        yield from _graphics()


def require_scratch() -> None:
    """Raise ``scratch_missing`` unless temporary files can be made where they belong: else they would end up on the volume."""
    place = os.environ.get("TMPDIR") or "/tmp"  # noqa: S108  # only looked at here
    if not os.access(place, os.W_OK | os.X_OK):
        raise ApplianceError("scratch_missing", ExitCode.USAGE, path=place)


def claim_keeping(root: Path) -> HeldLock | None:
    """The right to keep the appliance there, until the process ends; None on a volume that is too full to note it.

    Two at once would do no harm to the data, but each would take the machine for its own. Raises ``volume_kept``.
    """
    try:
        lock = try_lock(root / KEEPER_LOCK)
    except OSError:
        return None
    if lock is None:
        raise ApplianceError("volume_kept", ExitCode.BUSY, path=str(root), container=_keeper_of(root))
    with suppress(OSError):
        os.ftruncate(lock.fileno(), 0)
        os.pwrite(lock.fileno(), socket.gethostname().encode(), 0)
    return lock


def _limits(root: Path, *, beside_keeper: bool) -> Iterator[Notice]:
    free = shutil.disk_usage(root if root.exists() else root.parent).free
    if free < NEEDED_FREE:
        yield Notice("warning", "volume_full", {"path": str(root), "free": free})
    if beside_keeper and is_held(root / KEEPER_LOCK):
        yield Notice("info", "volume_kept_elsewhere", {"container": _keeper_of(root), "path": str(root)})


def _keeper_of(root: Path) -> str:
    with suppress(OSError):
        return (root / KEEPER_LOCK).read_text("utf-8", "replace")[:64] or "?"
    return "?"


def _graphics() -> Iterator[Notice]:
    found = graphics_situation()
    told = {"driver": found.driver, "needed": found.needed}
    if found.trouble == "no_driver":
        yield Notice("warning", "graphics_no_driver", told)
    elif found.trouble == "not_passed":
        yield Notice("warning", "graphics_not_passed", told)
    elif found.trouble == "driver_too_old":
        yield Notice("warning", "graphics_driver_too_old", told)
