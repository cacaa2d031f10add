"""A disk that is full, on a small file system of its own: runs end by name, what was there stays, and room is all it takes to go on."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from appliance import demo
from appliance.domain.errors import ApplianceError, ExitCode
from appliance.domain.home import Home
from appliance.services import runs
from scripts.resume_attack.checkpoints import checkpoints_in, is_whole
from tests.cli.conftest import Greenwave

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small file system")

TRAINING = {"max_steps": 30, "max_length": 96, "batch_size": 2, "rank": 64, "save_steps": 5, "keep_best": "last", "checkpointing": "none"}


@pytest.fixture
def home_on_disk_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int], Path]]:
    """Mounts a file system of so many megabytes and makes it the home."""
    place = tmp_path / "small"

    def mounted(megabytes: int) -> Path:
        place.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", place], check=True)
        monkeypatch.setenv("GREENWAVE_HOME", str(place / "home"))
        return place / "home"

    yield mounted
    subprocess.run(["umount", "--lazy", place], check=True)


def fill(place: Path, checkpoints: Path) -> None:
    """Write a file until not a byte is left, nor will be when a checkpoint that is being written now has failed."""
    with place.open("ab", buffering=0) as file:
        while shutil.disk_usage(place).free or checkpoints_in(checkpoints)[1]:
            for size in (1 << 20, 4096, 1):
                with suppress(OSError):
                    while file.write(bytes(size)) == size:
                        pass
            time.sleep(0.01)


def test_a_full_disk_ends_the_run_by_name(greenwave: Greenwave, home_on_disk_of: Callable[[int], Path], tmp_path: Path) -> None:
    """An import that does not fit is refused or fails with exit code 4; the home stays usable and holds nothing half-written."""
    source, home = tmp_path / "big.jsonl", home_on_disk_of(2)
    row = json.dumps({"instruction": "路口" * 50, "output": "x" * 1000}, ensure_ascii=False)
    source.write_text(f"{row}\n" * 4000, "utf-8")
    refused = greenwave("datasets", "import", source, "--name", "big", "--json")
    assert refused.status == 4, refused.err
    assert refused.error["code"] in ("disk_full", "disk_too_small")
    assert greenwave("datasets", "list", "--json").json == []
    assert not list((home / "datasets").rglob("*.jsonl"))


def test_a_full_disk_can_be_looked_at(greenwave: Greenwave, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a lost run cannot be marked as such for want of room, commands that only look still work."""

    def full(*_arguments: object) -> None:
        raise ApplianceError("disk_full", ExitCode.NO_ROOM, path="/x")

    monkeypatch.setattr(runs, "recognise_lost_runs", full)
    assert greenwave("runs", "list", "--json").json == []


@pytest.mark.slow
def test_a_disk_that_fills_while_checkpoints_are_saved(greenwave: Greenwave, home_on_disk_of: Callable[[int], Path]) -> None:
    """Not a byte left: told, ended with cause, hint and exit code 4, the older checkpoint stays whole, and with room it goes on."""
    home = home_on_disk_of(200)
    for words in (
        ("models", "import", demo.base_folder(), "--name", "base"),
        ("datasets", "import", demo.records_file(), "--name", "rows"),
        ("datasets", "split", "rows"),
    ):
        assert greenwave(*words).status == 0
    settings = [word for key, value in TRAINING.items() for word in ("--set", f"training.{key}={value}")]
    training = ["train", "--base", "base", "--dataset", "rows-train", "--name", "tuned", "--without-redaction", *settings]
    run = greenwave(*training, "--detach", "--json").json["run"]
    folder, deadline = Home(home).checkpoints(run), time.monotonic() + 120
    while not checkpoints_in(folder)[0]["step"]:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    fill(home.parent / "others", folder)
    watched = greenwave("runs", "watch", run)
    assert "was not saved" in watched.err and "training goes on" in watched.err
    shown = greenwave("runs", "show", run, "--json").json
    assert (shown["state"], shown["failure"]["code"], shown["failure"]["exit_code"]) == ("failed", "disk_full", 4)
    assert "Make room" in watched.err and watched.status == 4
    published, passing = checkpoints_in(folder)
    (saved, *_) = published["step"]
    assert is_whole(folder / f"step-{saved:08d}") and not passing
    assert [model["name"] for model in greenwave("models", "list", "--json").json] == ["base"]

    (home.parent / "others").unlink()
    resumed = greenwave("runs", "resume", run, "--json")
    assert resumed.status == 0, resumed.err
    assert f"step {saved}" in resumed.err
    assert resumed.json["facts"]["steps"] == 30
