"""Private folders for sockets."""

from __future__ import annotations

import os
import stat
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.domain.errors import ApplianceError
from appliance.inference.runtime_folder import LONGEST_SOCKET_PATH, private_folder


@pytest.fixture
def short() -> Iterator[Path]:
    """A short empty folder; pytest's own may be too long."""
    with tempfile.TemporaryDirectory(prefix="gw", dir="/tmp") as folder:
        yield Path(folder)


def test_private_and_gone_afterwards(short: Path) -> None:
    """The folder is for this user alone, short enough for a socket, and removed with everything in it."""
    with private_folder(short) as folder:
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert len(os.fsencode(folder / "llama.sock")) <= LONGEST_SOCKET_PATH
        (folder / "llama.sock").touch()
    assert list(short.iterdir()) == []


def test_long_place_falls_back(short: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A runtime folder of the system that is too long or not there is passed over; one that was asked for is refused."""
    deep = short / ("d" * 100)
    deep.mkdir()
    for place in (deep, short / "missing"):
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(place))
        monkeypatch.setattr(tempfile, "tempdir", str(short))
        with private_folder() as folder:
            assert folder.parent == short
        with pytest.raises(ApplianceError, match="no_runtime_folder"), private_folder(place):
            pass


def test_leftovers_of_killed_processes_go(short: Path) -> None:
    """An old folder that nobody holds is removed; a held one, a young one and a stranger's stay."""
    with private_folder(short) as held:
        old, young, strange = short / "greenwave-old", short / "greenwave-young", short / "greenwave-strange"
        for folder in (old, young, strange):
            folder.mkdir()
        for folder in (old, young):
            (folder / "lock").touch()
        an_hour_ago = time.time() - 3600
        for folder in (old, strange, held):
            os.utime(folder, (an_hour_ago, an_hour_ago))
        with private_folder(short):
            assert not old.exists()
            assert held.exists()
            assert young.exists()
            assert strange.exists()
