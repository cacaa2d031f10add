"""Locks between processes."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

from appliance.processes.child import spawn
from appliance.processes.locks import is_held, try_lock, wait_for_lock

HOLD = """
import sys, time
from pathlib import Path
from appliance.processes.locks import try_lock
held = try_lock(Path(sys.argv[1]))
print("held", flush=True)
time.sleep(60)
"""


def test_one_holder(tmp_path: Path) -> None:
    """A second holder is refused until the first lets go; asking changes nothing."""
    path = tmp_path / "runs" / "lock"
    assert not is_held(path)
    with try_lock(path) as held:  # type: ignore[union-attr]  # None would be this test's failure
        assert is_held(path)
        assert try_lock(path) is None
    assert not is_held(path)
    held.release()
    second = try_lock(path)
    assert second is not None
    second.release()


def test_lock_ends_with_its_process(tmp_path: Path) -> None:
    """A killed holder holds nothing any more."""
    path = tmp_path / "lock"
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE)
    with holder:
        assert holder.stdout is not None and holder.stdout.readline() == b"held\n"
        assert is_held(path) and try_lock(path) is None
        holder.kill()
    assert not is_held(path)


def test_children_do_not_inherit(tmp_path: Path) -> None:
    """A child that outlives its parent's lock does not keep it."""
    held = try_lock(tmp_path / "lock")
    assert held is not None
    with spawn(["sleep", "60"], log=tmp_path / "log"):
        held.release()
        assert not is_held(tmp_path / "lock")


def test_waiting(tmp_path: Path) -> None:
    """Who waits gets the lock when it is free, and stops waiting when told to."""
    path = tmp_path / "lock"
    held = try_lock(path)
    assert held is not None
    deadline = time.monotonic() + 0.3
    assert wait_for_lock(path, lambda: time.monotonic() > deadline) is None
    timer = threading.Timer(0.3, held.release)
    timer.start()
    with wait_for_lock(path, lambda: False) as mine:  # type: ignore[union-attr]  # None would be this test's failure
        assert mine.path == path
    timer.join()


def test_removed_file_is_not_taken_for_the_lock(tmp_path: Path) -> None:
    """A holder of a file that was removed does not stand in the way of a new one."""
    path = tmp_path / "lock"
    old = try_lock(path)
    assert old is not None
    path.unlink()
    assert not is_held(path)
    new = try_lock(path)
    assert new is not None and is_held(path)
    old.release()
    new.release()


def test_askers_do_not_disturb_takers(tmp_path: Path) -> None:
    """While others keep asking whether it is held, a free lock can always be taken."""
    path = tmp_path / "lock"
    path.touch()
    done = threading.Event()

    def ask() -> None:
        while not done.is_set():
            is_held(path)
            time.sleep(0.001)

    askers = [threading.Thread(target=ask) for _ in range(3)]
    for asker in askers:
        asker.start()
    try:
        for _ in range(200):
            held = try_lock(path)
            assert held is not None
            held.release()
    finally:
        done.set()
        for asker in askers:
            asker.join()
