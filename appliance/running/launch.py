"""Starting a conductor so that it outlives whoever started it, and telling whether one is alive."""

from __future__ import annotations

import os
import subprocess
import sys
import time

from appliance.domain.errors import ApplianceError, ExitCode
from appliance.domain.home import Home
from appliance.processes.locks import HeldLock, is_held, wait_for_lock
from appliance.running.offline import OFFLINE_SWITCHES

CONDUCTOR = "appliance.running.conductor"

LOCK_VARIABLE = "GREENWAVE_RUN_LOCK"
"""Names the file descriptor through which a conductor inherits its run's lock."""


PYTHON = (sys.executable, "-P")
"""Starts modules of ours; ``-P`` keeps files that happen to lie in the working folder from being imported in a library's place."""


def claim_run(home: Home, run_id: str, patience: float = 0.0) -> HeldLock:
    """Take the run's lock before its row says that it is alive, so that there is no moment in which it looks abandoned.

    ``patience`` is how many seconds a conductor that has said its last word may take to leave. Raises ``run_is_alive``.
    """
    home.run(run_id).mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + max(patience, 0.1)
    lock = wait_for_lock(home.run_lock(run_id), stop=lambda: time.monotonic() > deadline)
    if lock is None:
        raise ApplianceError("run_is_alive", ExitCode.BUSY, run=run_id)
    return lock


def start_conductor(home: Home, run_id: str, lock: HeldLock, program: str = CONDUCTOR) -> None:
    """Start the conductor of a claimed run in a session of its own and hand it the lock.

    It is nobody's child: it may outlive us, and when it does not, the record tells how it ended, so there is nothing to wait for.
    """
    try:
        with (home.run(run_id) / "conductor.log").open("ab") as log:
            subprocess.run(
                ["setsid", "--fork", *PYTHON, "-m", program, run_id],
                # Not where the front end happens to be: a run must not keep a medium from being taken out.
                cwd=home.run(run_id),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(lock.fileno(),),
                env={**os.environ, **OFFLINE_SWITCHES, "GREENWAVE_HOME": str(home.root), LOCK_VARIABLE: str(lock.fileno())},
                check=True,
            )
    finally:
        # Our descriptor only: the lock lives as long as the conductor's copy of it.
        lock.release()


def is_alive(home: Home, run_id: str) -> bool:
    """Whether a conductor holds the run's lock, in this container or another one on the same volume."""
    return is_held(home.run_lock(run_id))
