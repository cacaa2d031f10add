"""The items of the CIS Docker Benchmark (1.6) about images and containers, looked up in the real image and a running container.

Its items about the host, the daemon, Swarm and the practice of building (4.2 trusted bases, 4.4 and 5.28 updates, 4.5 and 4.12
signatures) are not a container's own. Exceptions, with reasons, are in docs/container.md: 5.12, 5.15, 5.19.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scripts.lockdown.box import Box, docker, owned

pytestmark = pytest.mark.docker

ROOT = Path(__file__).resolve().parent.parent.parent
PYTHON = "/opt/greenwave/bin/python"

WALK = """
import json, os, stat
found = {"setuid": [], "capable": [], "open": [], "secret": [], "programs": []}
top = os.stat("/").st_dev
for folder, folders, files in os.walk("/"):
    folders[:] = [name for name in folders if not os.path.ismount(os.path.join(folder, name))]  # os.walk follows no links
    for name in (*folders, *files):
        path = os.path.join(folder, name)
        mode = os.lstat(path).st_mode
        if stat.S_ISLNK(mode):
            continue
        if stat.S_ISREG(mode) and mode & (stat.S_ISUID | stat.S_ISGID):
            found["setuid"].append(path)
        if stat.S_ISREG(mode) and "security.capability" in os.listxattr(path):
            found["capable"].append(path)
        if mode & stat.S_IWOTH:
            found["open"].append(path)
        if name in (".netrc", ".pypirc", ".git-credentials", "pip.conf", "id_rsa", "id_ed25519", ".git") or name.endswith((".key", ".p12")):
            found["secret"].append(path)
        if mode & stat.S_IXUSR and "/bin/" in path:
            found["programs"].append(name)
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def files(image: str) -> dict[str, list[str]]:
    """What is remarkable about the image's files, seen by root."""
    walk = ("run", "--rm", "--read-only", "--network=none", "--user=0:0", f"--entrypoint={PYTHON}", image, "-c", WALK)
    found: dict[str, list[str]] = json.loads(docker(*walk).stdout)
    return found


@pytest.fixture(scope="module")
def box(image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    """The appliance as the README starts it."""
    with Box(image, owned(tmp_path_factory.mktemp("data"))) as started:
        started.start()
        started.greenwave("runs", "list")
        yield started


@pytest.fixture(scope="module")
def host(box: Box) -> dict[str, Any]:
    """What the container was given of the machine."""
    found: dict[str, Any] = box.state()["HostConfig"]
    return found


def test_4_1_the_image_has_a_user(inspected: dict[str, Any]) -> None:
    """4.1: the image names a user, by number, and it is not root."""
    user, _, group = inspected["Config"]["User"].partition(":")
    assert int(user) > 0
    assert int(group) > 0


def test_4_3_nothing_unnecessary_is_inside(files: dict[str, list[str]]) -> None:
    """4.3, 5.7: no compiler, no fetcher, no other user's power, no remote shell; apt, which is Debian's own, can do nothing here."""
    fetchers, builders = {"curl", "wget", "nc", "ssh", "git", "pip", "pip3"}, {"gcc", "cc", "c++", "make"}
    assert not (fetchers | builders | {"sudo", "sshd"}) & set(files["programs"])


def test_4_6_the_image_has_a_health_check(inspected: dict[str, Any]) -> None:
    """4.6: an instruction that looks at the appliance."""
    assert "appliance.container.health" in inspected["Config"]["Healthcheck"]["Test"]


def test_4_8_no_program_changes_its_user(files: dict[str, list[str]]) -> None:
    """4.8: neither setuid nor setgid nor capabilities of files; and nothing is open to everybody but the places for scratch and data."""
    assert files["setuid"] == []
    assert files["capable"] == []
    assert set(files["open"]) <= {"/data", "/tmp", "/run", "/var/tmp", "/run/lock"}


def test_4_9_files_are_copied(inspected: dict[str, Any]) -> None:
    """4.7, 4.9: COPY, never ADD; no package lists are fetched."""
    instructions = re.findall(r"^([A-Z]+)\b", (ROOT / "Dockerfile").read_text("utf-8"), re.MULTILINE)
    assert "COPY" in instructions
    assert "ADD" not in instructions
    assert "apt-get update" not in (ROOT / "Dockerfile").read_text("utf-8")


def test_4_10_no_secrets_are_inside(image: str, inspected: dict[str, Any], files: dict[str, list[str]]) -> None:
    """4.10: no credentials among the files, in the environment or in the history."""
    assert files["secret"] == []
    told = docker("history", "--no-trunc", "--format={{.CreatedBy}}", image).stdout + "\n".join(inspected["Config"]["Env"])
    assert not re.search(r"(?i)passw|secret|api_?key|credential|private", told)


def test_5_4_no_powers(box: Box, host: dict[str, Any]) -> None:
    """5.4, 5.5, 5.22, 5.26: no capability, not privileged, seccomp's filter on, no new privileges; as the kernel sees process 1."""
    assert host["CapDrop"] == ["ALL"]
    assert not host["CapAdd"]
    assert not host["Privileged"]
    program = "print(open('/proc/1/status').read())"
    status = dict(line.split(":\t", 1) for line in docker("exec", box.name, PYTHON, "-c", program).stdout.splitlines() if ":\t" in line)
    assert {int(status[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {0}
    assert status["NoNewPrivs"] == "1"
    assert status["Seccomp"] == "2"
    assert status["Uid"].split() == [status["Uid"].split()[0]] * 4 != ["0"] * 4


def test_5_2_the_security_module_is_on(box: Box) -> None:
    """5.2: where the machine has AppArmor, the container has Docker's profile."""
    if Path("/sys/kernel/security/apparmor").exists() and "name=apparmor" in docker("info", "--format={{.SecurityOptions}}").stdout:
        assert box.state()["AppArmorProfile"] == "docker-default"
    assert "apparmor=unconfined" not in " ".join(box.command())


def test_5_6_no_place_of_the_machine_is_inside(box: Box, host: dict[str, Any]) -> None:
    """5.6, 5.18, 5.20, 5.32: one writable mount, of the data; no device, no shared propagation, no engine's socket."""
    mounts = [mount for mount in box.state()["Mounts"] if mount["RW"]]
    assert [mount["Destination"] for mount in mounts] == ["/data"]
    assert all(mount["Propagation"] in ("", "rprivate", "rslave") for mount in box.state()["Mounts"])
    assert not host["Devices"]
    assert not any("docker.sock" in str(mount) for mount in box.state()["Mounts"])


def test_5_10_nothing_is_shared_with_the_machine(host: dict[str, Any]) -> None:
    """5.8, 5.9, 5.10, 5.16, 5.17, 5.21, 5.30, 5.31: no ports, no network, no namespace of the host's."""
    assert host["NetworkMode"] == "none"
    assert not host["PortBindings"]
    assert not host["PublishAllPorts"]
    assert host["PidMode"] == host["UTSMode"] == host["UsernsMode"] == ""
    assert host["IpcMode"] in ("private", "none")


def test_5_11_limits_hold(host: dict[str, Any]) -> None:
    """5.11, 5.25, 5.29: memory without swap, processes, and no control group but its own."""
    assert host["Memory"] == host["MemorySwap"] > 0
    assert host["PidsLimit"] == 2048
    assert host["CgroupParent"] == ""


def test_5_13_the_root_file_system_is_read_only(box: Box, host: dict[str, Any]) -> None:
    """5.13: by its settings, and in fact: there is no place to write to but data, scratch and what the kernel offers."""
    assert host["ReadonlyRootfs"]
    program = "import os, sys; print(*(place for place in sys.argv[1:] if os.access(place, os.W_OK)))"
    places = ("/", "/etc", "/opt/greenwave", "/usr", "/var", "/var/tmp", "/home", "/media", "/tmp", "/data")
    assert docker("exec", box.name, PYTHON, "-c", program, *places).stdout.split() == ["/tmp", "/data"]


def test_5_27_health_is_checked(box: Box) -> None:
    """5.27: the container's health is looked at while it runs, and it is well."""
    command = box.state()["Config"]["Healthcheck"]["Test"][1:]
    assert docker("exec", box.name, *command).stdout == ""


def test_the_container_hears_nobody(box: Box) -> None:
    """No socket listens but those of the file system, and no interface but loopback is up."""
    program = "import psutil; print(len(psutil.net_connections('inet')), *(n for n, s in psutil.net_if_stats().items() if s.isup))"
    assert docker("exec", box.name, PYTHON, "-c", program).stdout.split() == ["0", "lo"]
