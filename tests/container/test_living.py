"""Life in the real container: users, commands, the UI and its terminal, stops, and everything that may be missing."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from appliance import demo
from scripts.lockdown.box import Box, docker, owned
from scripts.lockdown.stops import PHASES, TRAINING, Stops
from scripts.screens.terminal import Terminal

pytestmark = pytest.mark.docker

PYTHON = "/opt/greenwave/bin/python"
FILLING = """
with open("/data/full", "wb", buffering=0) as file:
    try:
        while True:
            file.write(bytes(4096))
    except OSError:
        pass
"""
PHASES_OF_THE_TEST = ("import", "training", "writing a checkpoint", "export", "evaluation", "serving")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """An empty folder for /data."""
    return owned(tmp_path / "data")


@pytest.fixture
def volume() -> Iterator[Callable[..., str]]:
    """Makes named volumes; removes them at the end."""
    made: list[str] = []

    def make(*options: str) -> str:
        made.append(docker("volume", "create", *options).stdout.strip())
        return made[-1]

    yield make
    for name in made:
        docker("volume", "rm", "--force", name, check=False)


def refusal(done: subprocess.CompletedProcess[str]) -> tuple[int, str]:
    """Exit status and error code of a command with ``--json``."""
    return done.returncode, str(json.loads(done.stderr.strip().splitlines()[-1])["code"])


def test_any_user_works(image: str, volume: Callable[..., str]) -> None:
    """A user whom no list names trains nothing less: the doctor finds all well, the 4-bit arithmetic of torch included."""
    with Box(image, None, (f"--volume={volume()}:/data", "--user=12345:12345")) as box:
        done = box.run("doctor", "--json")
    checks = {check["name"]: check for check in json.loads(done.stdout)["checks"]}
    for name in ("volume", "database", "libraries", "llama", "offline", "network", "computation"):
        assert checks[name]["state"] == "ok", checks[name]
    assert checks["volume"]["parameters"] == {"path": "/data", "owner": checks["volume"]["parameters"]["owner"]}
    assert checks["network"]["code"] == "network_sealed"


def test_nothing_is_written_elsewhere(image: str, home: Path) -> None:
    """After an import by a detached command the volume holds the appliance's own files and nothing of any library; status 0."""
    (home / "records.jsonl").write_bytes(demo.records_file().read_bytes())
    owned(home)
    with Box(image, home) as box:
        done = box.run("datasets", "import", "/data/records.jsonl", "--name", "rows", "--detach")
        assert done.returncode == 0, done.stderr
        assert "docker stop" in done.stderr  # it said that the work goes on, and stayed for it
        states = [run["state"] for run in json.loads(box.run("runs", "list", "--json").stdout)]
    assert states == ["done"]
    assert {place.name.partition(".")[0] for place in home.iterdir()} <= {"records", "greenwave", "datasets", "runs", "cache", "reserve"}
    if (home / "cache").exists():
        assert {place.name for place in (home / "cache").iterdir()} <= {"compiled"}


def test_the_ui_comes_and_leaves_with_the_container(image: str, home: Path) -> None:
    """On a terminal the UI opens, another one by docker exec; a stop closes both, with both terminals as they were, and status 0."""
    with Box(image, home) as box:
        first = ["docker", *box.command(run=("--interactive", "--tty", "--env=GREENWAVE_LANG=zh"))]
        with Terminal(home, command=first) as ui:
            ui.wait_for("首页")
            with Terminal(home, command=["docker", "exec", "-it", box.name, "greenwave"]) as other:
                other.wait_for("首页")
                box.stop()
                for terminal in (ui, other):
                    terminal.wait_for("\x1b[?1049l")  # back from the alternate screen
                assert box.state()["State"]["ExitCode"] == 0


def test_quitting_the_ui_ends_the_container(image: str, home: Path) -> None:
    """Nothing goes on: the container ends with the UI, with status 0."""
    with Box(image, home) as box, Terminal(home, command=["docker", *box.command(run=("-it", "--env=GREENWAVE_LANG=zh"))]) as ui:
        ui.wait_for("首页")
        ui.press(b"\x11")
        ui.wait_for("\x1b[?1049l")
        docker("wait", box.name)
        assert box.state()["State"]["ExitCode"] == 0


def test_health_is_told(image: str, home: Path) -> None:
    """The container's own check is well while it works, and names what is wrong when the database is damaged."""
    with Box(image, home) as box:
        box.start()
        box.greenwave("runs", "list")
        check = box.state()["Config"]["Healthcheck"]["Test"][1:]
        assert docker("exec", box.name, *check).stdout == ""
        (home / "greenwave.db").write_bytes(b"no database" * 1000)
        unwell = docker("exec", box.name, *check, check=False)
        assert unwell.returncode == 1
        assert "greenwave.db" in unwell.stdout


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_missing_volume_is_refused(image: str, language: str) -> None:
    """Without -v the work would be lost with the container: one sentence and a hint, in both languages; help works all the same."""
    with Box(image, None, (f"--env=GREENWAVE_LANG={language}",)) as box:
        done = box.run("demo")
        assert done.returncode == 2
        lines = done.stderr.strip().splitlines()
        assert len(lines) == 2
        assert "/data" in lines[0]
        assert "-v greenwave:/data" in lines[1]
        assert box.run("--help").returncode == 0


def test_the_doctor_starts_without_a_volume(image: str) -> None:
    """It is the one command that must work on any box, and it names what is missing."""
    with Box(image, None) as box:
        done = box.run("doctor", "--json")
    assert done.returncode == 4
    assert {check["name"]: check["code"] for check in json.loads(done.stdout)["checks"]}["volume"] == "volume_missing"


def test_a_volume_of_somebody_else_is_refused(image: str, home: Path, volume: Callable[..., str]) -> None:
    """A folder or file of another user, a read-only volume: named with its owner, and untouched."""
    name = volume()
    ours, theirs = (Box(image, None, (f"--volume={name}:/data", f"--user={user}")) for user in ("10001:10001", "12345:12345"))
    assert ours.run("runs", "list").returncode == 0
    assert refusal(theirs.run("runs", "list", "--json")) == (4, "volume_foreign")
    home.chmod(0o700)
    assert refusal(Box(image, home, ("--user=12345:12345",)).run("runs", "list", "--json")) == (4, "volume_foreign")
    read_only = Box(image, None, (f"--volume={name}:/data:ro", "--user=10001:10001"))
    assert refusal(read_only.run("runs", "list", "--json")) == (4, "volume_read_only")
    assert list(home.iterdir()) == []


def test_a_full_volume_can_be_looked_at(image: str, tmp_path: Path, volume: Callable[..., str]) -> None:
    """Without a byte left, what is there is listed, with a notice; new work is refused as no room; once there is room, it is done."""
    small = volume("--opt=type=tmpfs", "--opt=device=tmpfs", "--opt=o=size=24m,mode=1777")
    source = owned(tmp_path / "medium") / "records.jsonl"
    source.write_bytes(demo.records_file().read_bytes() * 100)
    with Box(image, None, (f"--volume={small}:/data",)) as box:
        box.start()
        box.greenwave("runs", "list")
        docker("exec", box.name, PYTHON, "-c", FILLING)
        again = Box(image, None, (f"--volume={small}:/data", f"--volume={source.parent}:/media:ro"))
        listed = again.run("runs", "list", "--json")
        assert (listed.returncode, json.loads(listed.stdout)) == (0, [])
        assert "full" in listed.stderr
        importing = ("datasets", "import", "/media/records.jsonl", "--name", "rows", "--json")
        refused = again.run(*importing)
        assert refused.returncode == 4, refused.stderr
        docker("exec", box.name, PYTHON, "-c", "import os; os.unlink('/data/full')")
        assert again.run(*importing).returncode == 0


def test_one_appliance_keeps_a_volume(image: str, home: Path) -> None:
    """A second one that would stay is refused as busy, by the first one's name; a command beside it works, and is told."""
    with Box(image, home) as box:
        box.start()
        box.greenwave("runs", "list")
        second = Box(image, home).run()
        assert second.returncode == 5
        hostname = box.state()["Config"]["Hostname"]
        assert f"docker exec -it {hostname} greenwave" in second.stderr
        beside = Box(image, home).run("runs", "list", "--json")
        assert (beside.returncode, json.loads(beside.stdout)) == (0, [])
        assert hostname in beside.stderr
        box.stop()
        assert box.state()["State"]["ExitCode"] == 0


@pytest.mark.slow
def test_heavy_runs_of_two_containers_take_turns(image: str, home: Path) -> None:
    """A training of a second container on the same volume is queued while the first one's goes on; both are done in the end."""
    owned(Path(shutil.copytree(demo.base_folder(), home / "base")))
    shutil.copy(demo.records_file(), home / "records.jsonl")
    owned(home)
    with Box(image, home) as box, Box(image, home) as beside:
        box.start()
        box.greenwave("models", "import", "/data/base", "--name", "base")
        box.greenwave("datasets", "import", "/data/records.jsonl", "--name", "records")
        box.greenwave("datasets", "redact", "records", "--name", "rows")
        box.begin("train", *TRAINING, "--set", "training.max_steps=160", "--set", "training.epochs=64")  # lasts until the other is there
        beside.start("train", *(word.replace("result", "second") for word in TRAINING))
        deadline = time.monotonic() + 120
        while True:
            runs = json.loads(box.greenwave("runs", "list", "--limit", "2", "--json"))
            if [run["state"] for run in runs] == ["done", "done"] and {run["name"] for run in runs} == {"train-result", "train-second"}:
                break
            assert time.monotonic() < deadline, runs
            time.sleep(0.2)
    earlier, later = sorted(runs, key=lambda run: float(_training_of(run)["started"]))
    assert later["created"] < _training_of(earlier)["ended"] <= _training_of(later)["started"]


def _training_of(run: dict[str, Any]) -> dict[str, Any]:
    (stage,) = [stage for stage in run["stages"] if stage["stage"] == "train"]
    return dict(stage)


def test_a_missing_scratch_place_is_refused(image: str, home: Path) -> None:
    """Without --tmpfs /tmp nothing could be made there."""
    without = [option for option in Box.lockdown if not option.startswith("--tmpfs")]
    assert refusal(Box(image, home, lockdown=without).run("runs", "list", "--json")) == (2, "scratch_missing")


def test_libraries_for_a_gpu_without_a_driver_are_told(image: str, home: Path, tmp_path: Path) -> None:
    """Where torch says that it was built for CUDA, a machine without a driver is told at the start and by the doctor; work goes on."""
    if Path("/proc/driver/nvidia/version").exists():
        pytest.skip("this machine has a driver")
    version = tmp_path / "version.py"
    version.write_text("__version__ = '2.13.0'\ncuda: str = '13.0'\nhip = None\nxpu = None\ngit_version = ''\ndebug = False\nrocm = None\n")
    version.chmod(0o644)
    place = "/opt/greenwave/lib/python3.11/site-packages/torch/version.py"
    box = Box(image, home, (f"--volume={version}:{place}:ro", "--env=GREENWAVE_LANG=en"))
    done = box.run("runs", "list", "--json")
    assert (done.returncode, json.loads(done.stdout)) == (0, [])
    assert "580" in done.stderr
    checks = json.loads(box.run("doctor", "--json").stdout)["checks"]
    assert {check["name"]: check["code"] for check in checks}["gpu"] == "graphics_no_driver"


def test_what_root_has_left_behind_does_not_hold_up_a_stop(image: str, home: Path) -> None:
    """An orphan of ``docker exec --user 0``, running or stopped, hears nothing from process 1: it is not waited for, and the end is 0."""
    leaves = "import subprocess\nsubprocess.run(['setsid', '--fork', 'sleep', '300'])\n"
    leaves += "subprocess.run(['setsid', '--fork', 'sh', '-c', 'kill -STOP $$; sleep 300'])\n"
    with Box(image, home) as box:
        box.start()
        docker("exec", "--user=0:0", box.name, PYTHON, "-c", leaves)
        time.sleep(2)  # process 1 hears that one of them has stopped
        assert box.greenwave("--version")
        box.stop()
        assert box.state()["State"]["ExitCode"] == 0
        assert "force" not in box.logs()


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_a_stop_in_any_phase_loses_nothing(image: str, tmp_path: Path) -> None:
    """docker stop ends with 0; the run is interrupted, goes on at the next start unasked, and comes to the result it has in peace."""
    tmp_path.chmod(0o755)
    attack = Stops(image, (), tmp_path, random.Random(7))
    attack.prepare()
    stops = [attack.attack(phase) for phase in PHASES if phase.name in PHASES_OF_THE_TEST]
    for stop in stops:
        assert (stop.exit_code, stop.fault, stop.same) == (0, "", True), stop
        assert stop.seconds <= 60, stop
        assert stop.state in ("", "interrupted", "done"), stop
        assert stop.ended in ("", "done"), stop
    assert sum(stop.state == "interrupted" for stop in stops) >= 2, stops


@pytest.mark.slow
def test_switched_off_nothing_resumes_by_itself(image: str, home: Path) -> None:
    """With GREENWAVE_RESUME=no an interrupted run waits; without it the next start finishes it."""
    (home / "large.jsonl").write_bytes(demo.records_file().read_bytes() * 1000)  # far more than is read before the stop
    owned(home)
    with Box(image, home, ("--env=GREENWAVE_RESUME=no",)) as box:
        box.start()
        box.begin("datasets", "import", "/data/large.jsonl", "--name", "rows")
        while not list(home.glob("runs/*/00-ingest.json")):
            time.sleep(0.01)
        box.stop()
        box.restart()
        time.sleep(3.0)
        (run,) = json.loads(box.greenwave("runs", "list", "--json"))
        assert run["state"] == "interrupted"
        box.stop()
    with Box(image, home) as box:
        box.start()
        while json.loads(box.greenwave("runs", "show", run["id"], "--json"))["state"] == "interrupted":
            time.sleep(0.1)  # the test's own time limit ends this
        box.greenwave("runs", "watch", run["id"])
        assert json.loads(box.greenwave("datasets", "show", "rows", "--json"))["name"] == "rows"
