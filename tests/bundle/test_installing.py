"""Installing, upgrading, going back and removing: the order of what is asked of the engine, interruptions at every step, refusals."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.bundle.conftest import BundleMaker, Machine

RUNNING_1 = {"greenwave": ("running", "greenwave:0.1.0-cpu")}
RUNNING_2 = {"greenwave": ("running", "greenwave:0.2.0-cpu"), "greenwave-previous": ("exited", "greenwave:0.1.0-cpu")}
BACK = RUNNING_1


def verbs(machine: Machine) -> list[str]:
    """What was asked of the engine, without arguments."""
    return [call.split()[0] for call in machine.calls]


def test_an_installation_loads_then_starts(make_bundle: BundleMaker, machine: Machine) -> None:
    """The image is whole, the container gets a volume, no network, no rights, and what is said tells how to open it."""
    status, said = machine.install(make_bundle("0.1.0"))
    assert status == 0, said
    assert verbs(machine) == ["load", "volume", "create", "rename", "start"]
    assert machine.containers == RUNNING_1
    assert machine.state["volumes"] == ["greenwave"]
    words = " ".join(machine.state["containers"]["greenwave"]["words"])
    hardening = ("--network none", "--read-only", "--cap-drop ALL", "--security-opt no-new-privileges", "--pids-limit", "--memory-swap")
    assert all(option in words for option in hardening)
    assert "--user 10001:10001" in words and "source=greenwave,destination=/data" in words
    assert "docker exec -it greenwave greenwave" in said
    assert machine.state["rights"] == ["750", "/data"]
    assert list((machine.folder / "tmp").iterdir()) == []


def test_installing_twice_is_harmless(make_bundle: BundleMaker, machine: Machine) -> None:
    """The second time nothing is loaded or made; an appliance that was stopped is started."""
    bundle = make_bundle("0.1.0")
    assert machine.install(bundle)[0] == 0
    machine.forget_calls()
    machine.state["containers"]["greenwave"]["status"] = "exited"
    assert machine.install(bundle)[0] == 0
    assert verbs(machine) == ["start"]
    assert machine.containers == RUNNING_1


def test_an_upgrade_and_the_way_back(make_bundle: BundleMaker, machine: Machine) -> None:
    """The old one stops before the new one starts, and stays; going back brings its database back first; forward again works, twice."""
    old, new = make_bundle("0.1.0"), make_bundle("0.2.0")
    assert machine.install(old, "--memory", "12g")[0] == 0
    status, said = machine.install(new)
    assert (status, "--upgrade" in said, machine.containers) == (2, True, RUNNING_1)
    machine.forget_calls()
    assert machine.install(new, "--upgrade")[0] == 0
    assert verbs(machine) == ["load", "create", "rename", "stop", "rename", "start", "rename"]
    assert (machine.containers, machine.state["schema"]) == (RUNNING_2, 2)
    assert "--memory 12g" in " ".join(machine.state["containers"]["greenwave"]["words"])
    machine.forget_calls()
    status, said = machine.install(new, "--rollback", signed=False)
    assert status == 0, said
    assert verbs(machine) == ["rename", "stop", "run", "rename", "start", "rm"]
    assert (machine.containers, machine.state["schema"]) == (BACK, 1)
    assert machine.install(new, "--rollback", signed=False)[0] == 2
    for _ in range(2):
        assert machine.install(new, "--upgrade")[0] == 0
        assert (machine.containers, machine.state["schema"]) == (RUNNING_2, 2)


def test_an_upgrade_that_does_not_start_is_taken_back(make_bundle: BundleMaker, machine: Machine) -> None:
    """The old version runs again with its own database, the new one's last words are shown, and nothing of it is left."""
    assert machine.install(make_bundle("0.1.0"))[0] == 0
    machine.set(bad=["greenwave:0.2.0-cpu"])
    status, said = machine.install(make_bundle("0.2.0"), "--upgrade")
    assert (status, machine.containers, machine.state["schema"]) == (1, RUNNING_1, 1), said
    assert "cannot ]0;owned start" in said and "\x1b" not in said


@pytest.mark.slow
def test_a_way_back_that_does_not_start_is_taken_back(make_bundle: BundleMaker, machine: Machine) -> None:
    """The newer version runs again, with the database that it had, and the older one can still be gone back to."""
    assert machine.install(make_bundle("0.1.0"))[0] == 0
    new = make_bundle("0.2.0")
    assert machine.install(new, "--upgrade")[0] == 0
    machine.set(bad=["greenwave:0.1.0-cpu"])
    status, said = machine.install(new, "--rollback")
    assert (status, machine.containers, machine.state["schema"]) == (1, RUNNING_2, 2), said
    assert verbs(machine)[-2:] == ["rename", "start"]
    assert any(call.endswith("restore /data/greenwave.db.kept-1") for call in machine.calls)


@pytest.mark.slow
@pytest.mark.parametrize("step", range(2, 7))
def test_an_interrupted_upgrade_leaves_an_appliance(make_bundle: BundleMaker, machine: Machine, step: int) -> None:
    """Ctrl-C in the middle: exit 130 and either version runs, whole, with nothing of the exchange left."""
    assert machine.install(make_bundle("0.1.0"))[0] == 0
    machine.forget_calls()
    status, said = machine.install(make_bundle("0.2.0"), "--upgrade", kill=f"{step}!")
    assert (status, machine.containers in (RUNNING_1, RUNNING_2)) == (130, True), f"{said} {machine.containers}"
    assert list((machine.folder / "tmp").iterdir()) == []


@pytest.mark.slow
def test_a_first_installation_that_does_not_start_leaves_the_data(make_bundle: BundleMaker, machine: Machine) -> None:
    """The container goes, the volume stays."""
    machine.set(bad=["greenwave:0.1.0-cpu"])
    assert machine.install(make_bundle("0.1.0"))[0] == 1
    assert machine.containers == {}
    assert machine.state["volumes"] == ["greenwave"]


@pytest.mark.slow
def test_removing_leaves_the_data(make_bundle: BundleMaker, machine: Machine) -> None:
    """Containers and images go, the volume stays and is named; there is nothing to remove twice."""
    bundle, new = make_bundle("0.1.0"), make_bundle("0.2.0")
    assert machine.install(bundle)[0] == 0
    assert machine.install(new, "--upgrade")[0] == 0
    status, said = machine.install(bundle, "--uninstall", signed=False)
    assert (status, "greenwave" in said) == (0, True), said
    assert (machine.containers, machine.state["images"], machine.state["volumes"]) == ({}, [], ["greenwave"])
    assert machine.install(bundle, "--uninstall", signed=False)[0] == 2


STEPS = {"install": 5, "upgrade": 7, "rollback": 6}
"""How many calls change something."""


def killed_and_repeated(make_bundle: BundleMaker, machine: Machine, action: str, moment: str) -> None:
    """Kill an action at a moment, do it again, and see that all is as if nothing had happened."""
    old, new = make_bundle("0.1.0"), make_bundle("0.2.0")
    bundle, words, wanted = {
        "install": (old, (), RUNNING_1),
        "upgrade": (new, ("--upgrade",), RUNNING_2),
        "rollback": (new, ("--rollback",), BACK),
    }[action]
    if action != "install":
        assert machine.install(old)[0] == 0
    if action == "rollback":
        assert machine.install(new, "--upgrade")[0] == 0
    machine.forget_calls()
    assert machine.install(bundle, *words, kill=moment)[0] == -signal.SIGKILL
    running = [name for name, (status, _) in machine.containers.items() if status == "running"]
    assert len(running) <= 1, machine.containers
    assert machine.state["volumes"] in ([], ["greenwave"])
    status, said = machine.install(bundle, *words)
    # A roll-back that was complete leaves nothing to go back to, and says so.
    expected = 2 if (action, moment) == ("rollback", f"{STEPS['rollback']}+") else 0
    assert (status, machine.containers) == (expected, wanted), f"{moment}: {said}"
    assert machine.state["schema"] == (2 if action == "upgrade" else 1)
    assert list((machine.folder / "tmp").iterdir()) == []


def test_killed_between_two_names(make_bundle: BundleMaker, machine: Machine) -> None:
    """Killed at an upgrade's worst moment, the same command completes what it had begun."""
    killed_and_repeated(make_bundle, machine, "upgrade", "5")


@pytest.mark.slow
@pytest.mark.parametrize("after", ["", "+"], ids=["before", "after"])
@pytest.mark.parametrize(("action", "step"), [(action, step) for action, steps in STEPS.items() for step in range(1, steps + 1)])
def test_killed_at_every_step(make_bundle: BundleMaker, machine: Machine, action: str, step: int, after: str) -> None:
    """Before and after each call that changes something: the same command again ends as it should, with one appliance and all data."""
    killed_and_repeated(make_bundle, machine, action, f"{step}{after}")


def test_an_interruption_takes_its_copy_away(make_bundle: BundleMaker, machine: Machine) -> None:
    """Ctrl-C while the bundle is copied: exit 130, nothing was done, nothing is left."""
    bundle = make_bundle("0.1.0")
    (machine.folder / "bin" / "sha256sum").write_text('#!/bin/sh\n[ $# -gt 0 ] && exec /usr/bin/sha256sum "$@"\nsleep 30\n', "utf-8")
    (machine.folder / "bin" / "sha256sum").chmod(0o755)
    words = ["bash", str(bundle / "install.sh"), "--signers", str(machine.key.signers)]
    surroundings = {**os.environ, "PATH": f"{machine.folder / 'bin'}:{os.environ['PATH']}", "TMPDIR": str(machine.folder / "tmp")}
    surroundings["GREENWAVE_LOCKS"] = str(machine.folder)
    begun = subprocess.Popen(
        words, env={**surroundings, "FAKE_DOCKER": str(machine.folder)}, start_new_session=True, stderr=subprocess.PIPE
    )
    until = time.monotonic() + 20
    while not list((machine.folder / "tmp").glob("*/licenses")) and time.monotonic() < until:
        time.sleep(0.05)
    os.killpg(begun.pid, signal.SIGINT)
    _, said = begun.communicate(timeout=20)
    assert begun.returncode == 130, said
    assert machine.calls == []
    assert list((machine.folder / "tmp").iterdir()) == []


def test_a_medium_that_is_pulled_out(make_bundle: BundleMaker, machine: Machine) -> None:
    """A file that can no longer be copied is named; nothing was loaded and the copy is gone."""
    bundle = make_bundle("0.1.0")
    (machine.folder / "bin" / "cp").write_text('#!/bin/sh\ncase "$*" in *image*) exit 1;; esac\nexec /bin/cp "$@"\n', "utf-8")
    (machine.folder / "bin" / "cp").chmod(0o755)
    status, said = machine.install(bundle)
    assert (status, "image.tar.gz.00 could not be copied" in said) == (4, True), said
    assert (machine.calls, list((machine.folder / "tmp").iterdir())) == ([], [])


def test_an_engine_that_does_not_answer(make_bundle: BundleMaker, machine: Machine) -> None:
    """The reason is the engine's own; the hint says how to start it."""
    machine.set(down=True)
    status, said = machine.install(make_bundle("0.1.0"))
    assert (status, "Cannot connect" in said, "systemctl start docker" in said) == (2, True, True), said


@pytest.mark.parametrize(
    ("driver", "status", "words"),
    [
        (None, 4, "no NVIDIA driver"),
        ("NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.183.01  Sun May 12", 4, "535.183.01 is too old; 580"),
        ("NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.95.05  Release Build", 0, "runs as greenwave"),
    ],
    ids=["none", "too old", "new enough"],
)
def test_a_bundle_for_gpus_asks_for_the_driver(
    make_bundle: BundleMaker, machine: Machine, driver: str | None, status: int, words: str
) -> None:
    """Before anything is loaded; with a fitting driver the container gets the GPUs."""
    if driver:
        (machine.folder / "driver").write_text(driver, "utf-8")
    found, said = machine.install(make_bundle("0.1.0", "cuda"))
    assert (found, words in said) == (status, True), said
    assert machine.calls == [] if status else "--gpus all" in " ".join(machine.state["containers"]["greenwave"]["words"])


@pytest.mark.slow
def test_a_folder_for_the_data(make_bundle: BundleMaker, machine: Machine, tmp_path: Path) -> None:
    """An empty folder is given to the appliance's user; one of somebody's makes the appliance run as them; root's with files is refused."""
    bundle = make_bundle("0.1.0")
    if os.geteuid():
        pytest.skip("only root can give folders away")
    fresh, theirs, roots = tmp_path / "new" / "data", tmp_path / "theirs", tmp_path / "roots"
    for folder, owner in ((theirs, 4321), (roots, 0)):
        folder.mkdir()
        (folder / "x").touch()
        os.chown(folder, owner, owner)
    for name, folder, user in (("a", fresh, "10001:10001"), ("b", theirs, "4321:4321")):
        status, said = machine.install(bundle, "--data", folder, "--name", name)
        assert status == 0, said
        assert machine.state["containers"][name]["user"] == user
        assert folder.stat().st_uid == int(user.split(":")[0])
    machine.forget_calls()
    status, said = machine.install(bundle, "--data", roots, "--name", "c")
    assert (status, "chown" in said, machine.calls) == (2, True, [])
    status, said = machine.install(bundle, "--data", theirs / "x" / "data", "--name", "c")
    assert (status, "cannot be used for the data" in said, machine.calls) == (2, True, [])


def test_two_bundles_take_turns(make_bundle: BundleMaker, machine: Machine) -> None:
    """While one installer works on an appliance, one from another bundle is told so; another appliance may be worked on."""
    old, new = make_bundle("0.1.0"), make_bundle("0.2.0")
    assert machine.install(old)[0] == 0
    lock = machine.folder / "greenwave-greenwave.lock"
    with lock.open() as at_work:
        fcntl.flock(at_work, fcntl.LOCK_EX)
        machine.forget_calls()
        status, said = machine.install(new, "--upgrade")
        assert (status, "at work" in said, machine.calls) == (5, True, [])
        assert machine.install(new, "--name", "other")[0] == 0
    assert machine.install(new, "--upgrade")[0] == 0
    lock.unlink()
    os.mkfifo(lock)
    status, said = machine.install(new)
    assert (status, str(lock) in said) == (2, True)


@pytest.mark.parametrize(
    "words",
    [
        ("--nonsense",),
        ("--name",),
        ("--name", "../x"),
        ("--memory", "lots"),
        ("--data", "/a,readonly"),
        ("--lang", "fr"),
        ("--check", "--upgrade"),
    ],
    ids=" ".join,
)
def test_wrong_use_is_told(make_bundle: BundleMaker, machine: Machine, words: tuple[str, ...]) -> None:
    """One sentence and a hint, exit 2, nothing done."""
    status, said = machine.install(make_bundle("0.1.0"), *words)
    assert (status, "Hint: " in said) == (2, True), said
    assert machine.calls == []


def test_it_speaks_chinese(make_bundle: BundleMaker, machine: Machine) -> None:
    """By the locale; and ``--help`` lists every action."""
    bundle = make_bundle("0.1.0")
    _, said = machine.install(bundle, LANG="zh_CN.UTF-8")
    assert "安装包完整且未被改动" in said and "打开：" in said
    status, said = machine.install(bundle, "--help", signed=False)
    assert status == 0
    assert all(action in said for action in ("--check", "--upgrade", "--rollback", "--uninstall"))


def test_both_languages_say_the_same_things() -> None:
    """Every sentence exists in both, with as many gaps and with a hint in both or in neither."""
    words = (Path(__file__).parents[2] / "scripts/bundling/installer/install/words.sh").read_text("utf-8")
    tables = []
    for name in ("EN", "ZH"):
        block = words.partition(f"declare -A {name}=(")[2].partition("\n)")[0]
        entries = dict(line.strip()[1:].split("]=", 1) for line in block.splitlines() if line.strip())
        tables.append({key: (text.count("%s"), text.count("|")) for key, text in entries.items()})
    assert tables[0] == tables[1]
