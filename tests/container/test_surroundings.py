"""What the container notices about how it was started, told from files as the kernel writes them."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from appliance.container.reserve import RESERVE, look_after_reserve
from appliance.container.surroundings import KEEPER_LOCK, claim_keeping, look_around
from appliance.domain.errors import ApplianceError, ExitCode
from appliance.domain.home import Home
from appliance.processes.locks import try_lock
from appliance.services.graphics import graphics_situation
from appliance.services.health import require_health
from appliance.services.resuming import resumes_at_start
from appliance.services.volume import require_own, require_volume

MOUNTS = """\
1519 1410 0:238 / / ro,relatime - overlay overlay rw,lowerdir=/var/lib/docker/overlay2/l/X
1520 1519 0:241 / /proc rw,nosuid,nodev,noexec,relatime - proc proc rw
1521 1519 0:242 / /tmp rw,nosuid,nodev,noexec,relatime - tmpfs tmpfs rw
1522 1519 254:1 /var/lib/docker/volumes/x/_data /srv/our\\040data rw,relatime master:1 - ext4 /dev/vda1 rw
"""

DRIVER = """\
NVRM version: NVIDIA UNIX {kind}  {version}  Thu Sep 11 20:59:09 UTC 2026
GCC version:  gcc version 12.3.0 (Ubuntu 12.3.0-1ubuntu1~22.04)
"""


def test_a_home_without_a_volume_is_refused(tmp_path: Path) -> None:
    """A path that only the root file system holds is in the container; one on or below a mount is not."""
    mounts = tmp_path / "mountinfo"
    mounts.write_text(MOUNTS)
    require_volume(Path("/srv/our data/greenwave"), mounts)
    require_volume(Path("/srv/our data"), mounts)
    for inside in ("/data", "/srv", "/srv/our"):
        with pytest.raises(ApplianceError) as refused:
            require_volume(Path(inside), mounts)
        assert (refused.value.code, refused.value.exit_code) == ("volume_missing", ExitCode.USAGE)


@pytest.mark.parametrize("between", ["\u2028", "\x85", "\x0c", "\x1e"])
def test_names_of_mounts_may_hold_any_character(between: str, tmp_path: Path) -> None:
    """A medium whose name holds what some take for the end of a line hides no other mount, and ends nothing."""
    mounts = tmp_path / "mountinfo"
    strange = f"90 1 8:17 / /media/a{between}b rw,relatime shared:1 - vfat /dev/sdb1 rw\n"
    mounts.write_text(strange + MOUNTS, "utf-8", newline="")
    require_volume(Path("/srv/our data"), mounts)
    require_volume(Path(f"/media/a{between}b"), mounts)


def test_a_volume_of_somebody_else_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first thing that cannot be written is named with its owner; foreign files beside ours do not matter."""
    for name in ("runs", "lost+found"):
        (tmp_path / name).mkdir()
    may = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path).name != "lost+found" and may(path, mode))
    require_own(tmp_path)
    monkeypatch.setattr(os, "access", lambda path, mode: (Path(path).name != "runs" or mode == os.F_OK) and may(path, mode))
    with pytest.raises(ApplianceError) as refused:
        require_own(tmp_path)
    assert refused.value.code == "volume_foreign"
    assert refused.value.parameters["path"] == str(tmp_path / "runs")
    assert refused.value.parameters["owner"] == f"{os.getuid()}:{os.getgid()}"


def test_one_container_keeps_a_volume(tmp_path: Path) -> None:
    """The second one that would stay is refused by the first one's name; who only works there is told."""
    keeping = claim_keeping(tmp_path)
    assert keeping is not None
    with pytest.raises(ApplianceError) as refused:
        claim_keeping(tmp_path)
    assert (refused.value.code, refused.value.exit_code) == ("volume_kept", ExitCode.BUSY)
    assert refused.value.parameters["container"] == os.uname().nodename
    keeping.release()
    again = claim_keeping(tmp_path)
    assert again is not None
    again.release()


def test_what_limits_work_is_told(own_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A volume that is full or kept by another container is a notice, and no reason to refuse."""
    monkeypatch.setattr("appliance.container.surroundings.require_volume", lambda _: None)
    monkeypatch.setattr("appliance.container.surroundings.NEEDED_FREE", 1 << 62)
    lock = try_lock(own_home / KEEPER_LOCK)
    assert lock is not None
    with lock:
        told = [notice.code for notice in look_around(["runs", "list"], keeps=False)]
    assert told == ["volume_full", "volume_kept_elsewhere"]
    assert list(look_around(["--help"], keeps=False)) == []


def test_a_reserve_is_given_back_when_it_is_needed(own_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is taken where there is plenty of room, kept, given back on a full volume, and taken again."""
    free = [1 << 30]
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=free[0]))
    place = own_home / "reserve"
    for there in (True, True):
        look_after_reserve(own_home)
        assert place.exists() == there
    assert place.stat().st_blocks * 512 >= RESERVE
    free[0] = 0
    look_after_reserve(own_home)
    assert not place.exists()
    free[0] = RESERVE
    look_after_reserve(own_home)
    assert not place.exists()  # what was given back is free now, and must not be taken at once
    free[0] = 1 << 30
    look_after_reserve(own_home)
    assert place.exists()
    look_after_reserve(own_home / "not there")


def test_temporary_files_have_their_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where they cannot be made the start is refused, before anything looks at the volume."""
    monkeypatch.setenv("TMPDIR", str(tmp_path / "missing"))
    with pytest.raises(ApplianceError, match="scratch_missing"):
        list(look_around(["runs", "list"], keeps=False))


@pytest.mark.parametrize(
    ("cuda", "version", "given", "trouble"),
    [
        ("None", None, False, None),
        ("'13.0'", None, False, "no_driver"),
        ("'13.0'", "580.95.05", False, "not_passed"),
        ("'13.0'", "575.64.03", True, "driver_too_old"),
        ("'12.8'", "575.64.03", True, None),
        ("'13.0'", "580.95.05", True, None),
        ("'14.0'", "580.95.05", True, None),
    ],
)
@pytest.mark.parametrize("kind", ["x86_64 Kernel Module", "Open Kernel Module for x86_64"])
def test_libraries_and_driver_are_compared(
    tmp_path: Path, kind: str, cuda: str, version: str | None, given: bool, trouble: str | None
) -> None:
    """Which driver torch's build needs, whether there is one, and whether the container was given its GPU."""
    torch = tmp_path / "version.py"
    torch.write_text(f"__version__ = 'x'\ncuda: Optional[str] = {cuda}\nhip: Optional[str] = None\n")
    (tmp_path / "driver/nvidia").mkdir(parents=True)
    if version is not None:
        (tmp_path / "driver/nvidia/version").write_text(DRIVER.format(kind=kind, version=version))
    if given:
        (tmp_path / "nvidiactl").touch()
    found = graphics_situation(tmp_path, tmp_path, torch)
    assert found.trouble == trouble
    assert found.driver == (version if cuda != "None" and version else "")


def test_health_is_looked_at(own_home: Path, tmp_path: Path) -> None:
    """Well: a fresh sign of life, a readable database, a writable home. Each of them missing is named."""
    heartbeat = tmp_path / "alive"
    home = Home(own_home)
    with pytest.raises(ApplianceError, match="supervisor_silent"):
        require_health(home, heartbeat)
    heartbeat.touch()
    require_health(home, heartbeat)
    os.utime(heartbeat, (1, 1))
    with pytest.raises(ApplianceError, match="supervisor_silent"):
        require_health(home, heartbeat)
    heartbeat.touch()
    (own_home / "greenwave.db").write_bytes(b"no database" * 1000)
    with pytest.raises(ApplianceError, match="store_damaged"):
        require_health(home, heartbeat)


def test_resuming_can_be_switched_off() -> None:
    """Interrupted runs are resumed at a lasting start unless GREENWAVE_RESUME says no."""
    assert resumes_at_start({})
    assert resumes_at_start({"GREENWAVE_RESUME": "yes"})
    assert not any(resumes_at_start({"GREENWAVE_RESUME": word}) for word in ("no", "NO", "0", "off"))
