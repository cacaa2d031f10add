"""UNIX sockets: short private folders for them, since the system limits their paths to 107 bytes, and whether anybody listens."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from appliance.domain.errors import ApplianceError, ExitCode
from appliance.processes.locks import is_held, try_lock

LONGEST_SOCKET_PATH = 107
"""Bytes of a socket's path on Linux, the closing zero not counted (``unix(7)``)."""

_PREFIX = "greenwave-"
_LOCK = "lock"
_LONGEST_NAME = len(f"/{_PREFIX}12345678/llama.sock")
_LEFTOVER_AGE = 60.0
"""Seconds; a younger folder without a lock may be one that is just being made."""


@contextmanager
def private_folder(parent: Path | None = None) -> Iterator[Path]:
    """A new folder that only this user may enter, short enough for a socket in it; removed at the end.

    It is made in ``parent``, else in ``$XDG_RUNTIME_DIR``, ``$TMPDIR`` or ``/tmp``, whichever is short and writable. Folders that
    killed processes left there are removed on the way.
    """
    place = _usable_place(parent)
    _remove_leftovers(place)
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=place))
    lock = try_lock(folder / _LOCK)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if lock is not None:
            lock.release()


def somebody_listens(path: Path) -> bool:
    """Whether a program accepts connections on a socket; a file that is left over from a killed one does not."""
    with socket.socket(socket.AF_UNIX) as asking:
        return asking.connect_ex(str(path)) == 0


def _usable_place(parent: Path | None) -> Path:
    places = [parent] if parent else [Path(os.environ.get("XDG_RUNTIME_DIR") or "/tmp"), Path(tempfile.gettempdir()), Path("/tmp")]
    for place in places:
        short = len(os.fsencode(place.absolute())) + _LONGEST_NAME <= LONGEST_SOCKET_PATH
        # llama-server takes several places to listen at, separated by commas.
        if short and "," not in str(place.absolute()) and place.is_dir() and os.access(place, os.W_OK | os.X_OK):
            return place.absolute()
    raise ApplianceError("no_runtime_folder", ExitCode.USAGE, places=", ".join(str(place) for place in places))


def _remove_leftovers(place: Path) -> None:
    for folder in place.glob(f"{_PREFIX}*"):
        try:
            status = folder.lstat()
            is_ours = status.st_uid == os.getuid() and time.time() - status.st_mtime > _LEFTOVER_AGE
            if is_ours and (folder / _LOCK).exists() and not is_held(folder / _LOCK):
                shutil.rmtree(folder)
        except OSError:  # somebody else was quicker, or may not be disturbed
            continue
