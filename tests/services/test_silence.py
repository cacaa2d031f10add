"""The observers of the self-test: what Python tries, what the kernel counts, which files were changed."""

from __future__ import annotations

import base64
import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from appliance.processes.witness import EXPECTED, FOLDER, RECORD, read_record
from appliance.running.offline import OFFLINE_SWITCHES
from appliance.services.doctor import Check
from appliance.services.provenance import check_files
from appliance.services.selftest import Journey, _journey_checks, _network_checks
from appliance.services.silence import Observation, read_counters, witnessed_children
from tests.architecture.source import HOUSE

SPEAK = """
import contextlib, socket
for attempt in (
    lambda: socket.getaddrinfo("telemetry.example.com", 443),
    lambda: socket.create_connection(("192.0.2.1", 443), 0.1),
    lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("192.0.2.1", 53)),
    lambda: socket.socket().bind(("", 0)),
    lambda: socket.socket().bind(("127.0.0.1", 0)),
    lambda: socket.getaddrinfo("localhost", 80),
    lambda: socket.socket(socket.AF_UNIX).connect("/nowhere"),
):
    with contextlib.suppress(OSError):
        attempt()
"""

QUIET = Observation(interfaces=(), sent=0, received=0, refused=0, processes=8, attempts=(), unprepared=(), looks=9, connections=())


def states(checks: list[Check]) -> dict[str, str]:
    """How each check ended."""
    return {check.name: check.state for check in checks}


def test_a_witness_sees_every_attempt_and_nothing_of_this_machine(tmp_path: Path) -> None:
    """Look-ups, connections, datagrams and open ports are written down; loopback and UNIX sockets are not."""
    record = tmp_path / "record"
    with witnessed_children(record, tmp_path / "person"):
        subprocess.run([sys.executable, "-c", SPEAK], env={**os.environ, **OFFLINE_SWITCHES}, check=True)
    told = read_record(record)
    assert told.processes == 1
    assert told.unprepared == []
    kinds = [attempt.split()[0] for attempt in told.attempts]
    # create_connection looks its address up first, which asks nobody for a number, but is a sign of where to look.
    assert kinds == ["socket.getaddrinfo", "socket.getaddrinfo", "socket.connect", "socket.sendto", "socket.bind"]
    assert told.attempts[0] == "socket.getaddrinfo telemetry.example.com"
    assert RECORD not in os.environ


def test_a_process_without_a_switch_is_named(tmp_path: Path) -> None:
    """A process that was started without one of the expected variables is told, with the variable."""
    expects = {RECORD: str(tmp_path / "record"), EXPECTED: "DO_NOT_TRACK=1;HF_HUB_OFFLINE=1", "PYTHONPATH": str(FOLDER)}
    subprocess.run([sys.executable, "-c", "pass"], env={**os.environ, **expects, "HF_HUB_OFFLINE": "0", "DO_NOT_TRACK": "1"}, check=True)
    (line,) = read_record(tmp_path / "record").unprepared
    assert line.endswith("-c pass: HF_HUB_OFFLINE")


@pytest.mark.slow
def test_the_kernel_counts_what_native_code_tries() -> None:
    """In a namespace without a way out, an attempt from native code, which no hook of Python sees, is counted."""
    script = (
        "from appliance.services.silence import read_counters\nimport ctypes, subprocess\n"
        "before = read_counters()\n"
        "subprocess.run(['bash', '-c', 'echo x > /dev/udp/192.0.2.1/53'], stderr=subprocess.DEVNULL)\n"
        "now = read_counters()\nprint(now.refused - before.refused, now.interfaces)"
    )
    command = ["unshare", "--map-root-user", "--net", sys.executable, "-c", script]
    told = subprocess.run(command, env={**os.environ, "PYTHONPATH": str(HOUSE)}, capture_output=True, text=True, check=True)
    assert told.stdout == "1 ()\n"


def test_counters_of_this_machine_can_be_read() -> None:
    """Whatever the machine has, the counters are numbers."""
    found = read_counters()
    assert min(found.sent, found.received, found.refused) >= 0


def test_only_what_proves_something_passes() -> None:
    """A silent sealed box passes; each observer alone lets it fail; counters of a machine with a network are no proof."""
    assert set(states([*_network_checks(QUIET)]).values()) == {"ok"}
    noises: dict[str, dict[str, Any]] = {
        "attempts": {"attempts": ("socket.connect 192.0.2.1:443",)},
        "connections": {"connections": ("llama-server → 192.0.2.1:443",)},
        "kernel": {"refused": 1},
        "switches": {"unprepared": ("python -c x: DO_NOT_TRACK",)},
    }
    for name, changes in noises.items():
        found = msgspec.structs.replace(QUIET, **changes)
        assert states([*_network_checks(found)]) == {**states([*_network_checks(QUIET)]), name: "failed"}
    open_box = msgspec.structs.replace(QUIET, interfaces=("eth0",), refused=3)
    assert states([*_network_checks(open_box)])["kernel"] == "warning"


@pytest.mark.parametrize("losses", [(), (1.0,), (1.0, 0.0), (1.0, float("nan"))])
def test_a_loss_that_is_none_fails(losses: tuple[float, ...]) -> None:
    """A training without two sound losses does not pass, nor does a model that says nothing."""
    found = states([*_journey_checks(Journey(losses=losses, answer=" "))])
    assert (found["training"], found["chat"]) == ("failed", "failed")


def test_altered_and_missing_files_of_a_library_are_found(tmp_path: Path) -> None:
    """One changed byte is named; what is not there is counted, since an image leaves things out."""
    info = tmp_path / "thing-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: thing\nVersion: 1.0\n")
    digest = base64.urlsafe_b64encode(hashlib.sha256(b"x = 1\n").digest()).rstrip(b"=").decode()
    (info / "RECORD").write_text(f"thing.py,sha256={digest},6\ngone.py,sha256={digest},6\nthing-1.0.dist-info/RECORD,,\n")
    (tmp_path / "thing.py").write_text("x = 1\n")
    sound = check_files([str(tmp_path)])
    assert (sound.libraries, sound.files, sound.size, sound.altered, sound.missing) == (1, 1, 6, (), 1)
    (tmp_path / "thing.py").write_text("x = 2\n")
    assert check_files([str(tmp_path)]).altered == ("thing.py",)
