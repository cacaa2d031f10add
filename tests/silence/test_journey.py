"""Nothing leaves the box: the whole life of a model where there is no network, under strace."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from appliance import demo
from tests.silence.tracing import Traced, files_below, traced

HOUSE = Path(__file__).parents[2]

pytestmark = pytest.mark.slow

# The commands of the README, from a raw file to an answer, with readers, previews and examinations.
LIFE = """
set -euo pipefail
greenwave() { "$PYTHON" -P -m appliance.entry "$@"; }
greenwave datasets import "$HOUSE/docs/examples/calls.csv" --look --json
greenwave datasets import "$HOUSE/docs/examples/calls.csv" --name calls --json
greenwave datasets clean calls --json
greenwave datasets redact calls-clean --json
greenwave datasets split calls-clean-redacted --json
greenwave datasets show calls --json
greenwave datasets import "$PAGE" --name page --json
greenwave models import "$BASE" --name base --json
greenwave datasets preview calls-clean-redacted --tokens --base base --json
greenwave plan --base base --dataset calls-clean-redacted --json
greenwave train --base base --dataset calls-clean-redacted --name tuned --set training.max_steps=2 --set training.max_length=128 --json
greenwave evaluate tuned --dataset calls-clean-redacted --json
greenwave export tuned --name q4 --json
greenwave chat q4 "限速路段超速会怎样处理？" --json
greenwave doctor --json || true
"""


@pytest.fixture
def person(tmp_path: Path) -> dict[str, str]:
    """An environment whose home folder and caches are new."""
    folder = tmp_path / "person"
    folder.mkdir()
    return {
        "HOME": str(folder),
        "XDG_CACHE_HOME": str(folder / ".cache"),
        "GREENWAVE_CACHE": str(Path.home() / ".cache" / "greenwave"),  # machine code that numba made: only time depends on it
        "GREENWAVE_HOME": str(tmp_path / "home"),
        "PYTHONPATH": str(HOUSE),
        "PYTHON": sys.executable,
    }


def must_be_silent(found: Traced, folder: Path) -> None:
    """Every socket was one of this machine, and a library left nothing in the person's folders."""
    assert found.foreign == []
    assert found.processes > 0, "strace saw no call at all"
    strangers = {path for path in found.unix_paths if not any(part in path for part in ("llama.sock", "nscd"))}
    assert not strangers
    assert files_below(folder) == set()


def test_selftest_finds_the_box_silent_and_so_does_strace(person: dict[str, str], tmp_path: Path) -> None:
    """The self-test passes without any network; its own observers and the kernel agree with strace that nothing was tried."""
    found = traced([sys.executable, "-P", "-m", "appliance.entry", "selftest", "--json"], tmp_path, person)
    assert found.outcome.returncode == 0, found.outcome.stderr
    sheet: dict[str, Any] = json.loads(found.outcome.stdout)
    assert sheet["passed"]
    states = {check["name"]: check["state"] for check in sheet["checks"]}
    wanted = ("files", "training", "export", "chat", "attempts", "connections", "kernel", "switches", "traces")
    assert {name: states[name] for name in wanted} == dict.fromkeys(wanted, "ok")
    assert sheet["network"]["processes"] >= 8
    assert (sheet["network"]["interfaces"], sheet["network"]["refused"]) == ([], 0)
    must_be_silent(found, tmp_path / "person")
    assert list((tmp_path / "home").glob("selftest-*")) == []


def test_every_command_of_a_models_life_is_silent(person: dict[str, str], tmp_path: Path) -> None:
    """From a raw table and a web page to an answer: no socket but UNIX sockets, no look-up of a name, no file left by a library."""
    page = tmp_path / "page.html"
    page.write_text("<html><body><p>松棠路口早高峰绿灯四十六秒。</p><img src='http://192.0.2.1/a.png'></body></html>", "utf-8")
    variables = {**person, "HOUSE": str(HOUSE), "BASE": str(demo.base_folder()), "PAGE": str(page)}
    found = traced(["bash", "-c", LIFE], tmp_path, variables)
    assert found.outcome.returncode == 0, found.outcome.stderr
    assert '"tokens_per_second"' in found.outcome.stdout
    must_be_silent(found, tmp_path / "person")


@pytest.mark.parametrize(
    "attempt",
    [
        "socket.create_connection(('192.0.2.1', 443), 2)",
        "socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('192.0.2.1', 53))",
        "ctypes.CDLL(None).getaddrinfo(b'telemetry.example.com', None, None, ctypes.byref(ctypes.c_void_p()))",
    ],
)
def test_the_judge_sees_who_is_not_silent(attempt: str, person: dict[str, str], tmp_path: Path) -> None:
    """A connection, a datagram and a look-up from native code are each found by the same command and the same rule."""
    script = f"import contextlib, ctypes, socket\nwith contextlib.suppress(OSError):\n    {attempt}"
    found = traced([sys.executable, "-c", script], tmp_path, person)
    assert any("AF_INET" in line for line in found.foreign)
