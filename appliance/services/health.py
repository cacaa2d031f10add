"""Is the appliance well? Asked every half minute by the container's engine, so it looks at little and changes nothing."""

from __future__ import annotations

import errno
import os
import tempfile
import time
from pathlib import Path

from appliance.domain.errors import ApplianceError, ExitCode
from appliance.domain.home import Home
from appliance.store.store import Store

SILENT_FOR = 30.0
"""Seconds without a sign of life after which the supervisor counts as stuck."""


def require_health(home: Home, heartbeat: Path) -> None:
    """Raise what is wrong: ``supervisor_silent``, ``disk_full``, ``home_unwritable``, or what keeps the database from being read.

    ``heartbeat`` is the file that the supervisor touches as long as it is well.
    """
    try:
        silent = time.time() - heartbeat.stat().st_mtime
    except OSError as error:
        raise ApplianceError("supervisor_silent", ExitCode.RUN_FAILED, seconds=0) from error
    if silent > SILENT_FOR:
        raise ApplianceError("supervisor_silent", ExitCode.RUN_FAILED, seconds=round(silent))
    store = Store(home.root)
    next(iter(store.runs.newest(1)), None)
    store.close()
    try:
        with tempfile.TemporaryFile(dir=home.root) as probe:
            probe.write(b"\0" * 4096)
            probe.flush()
            os.fsync(probe.fileno())
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise ApplianceError("disk_full", ExitCode.NO_ROOM, path=str(home.root)) from error
        raise ApplianceError("home_unwritable", ExitCode.NO_ROOM, path=str(home.root), reason=error.strerror or str(error)) from error
