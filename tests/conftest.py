"""What every test may count on: no network, a data folder of its own, English sentences."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from hypothesis import settings

import appliance.stages  # noqa: F401  # before a test module imports torch: how its threads wait is read once
from appliance.running.offline import go_offline

# Before any test module imports a library that reads these switches once.
go_offline()

# A slow machine is no failure, and a failure found once must be found again.
settings.register_profile("greenwave", deadline=None, derandomize=True, database=None)
settings.load_profile("greenwave")


def pytest_configure() -> None:
    """Give each of several test processes cores of its own: threads of two that share cores wait for each other most of the time."""
    number, count = os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"), int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    cores = sorted(os.sched_getaffinity(0))
    if 1 < count <= len(cores):
        os.sched_setaffinity(0, cores[int(number) % count :: count])


# A shell ignores Ctrl-C for what it starts in the background, nohup a closed terminal, and programs that the tests stop would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture(autouse=True)
def own_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty ``GREENWAVE_HOME``, so that no test sees a person's records or leaves its own."""
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("GREENWAVE_HOME", str(home))
    monkeypatch.setenv("GREENWAVE_LANG", "en")
    return home
