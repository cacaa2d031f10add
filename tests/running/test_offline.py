"""The switches that keep libraries from the network are set at every way into the program, whatever the environment said before."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from appliance.running.launch import LOCK_VARIABLE
from appliance.running.offline import OFFLINE_SWITCHES
from tests.architecture.source import HOUSE, PACKAGES, named, python_files

ENTRIES = {
    "appliance/entry.py": ["--version"],
    "appliance/running/worker.py": ["no-such-stage", "{folder}/spec.json"],
    "appliance/running/conductor.py": ["no-such-run"],
    "appliance/running/answerer.py": ["no-such-question", "1"],
    "appliance/container/supervisor.py": ["--version"],
}
"""Modules that a person or another process of ours starts, with arguments that let them get as far as they must and no further."""

CHILDREN_OF_A_WORKER = {
    "appliance/stages/export/check.py",
    "appliance/stages/export/sample.py",
    "appliance/stages/export/compare.py",
    "appliance/stages/readers/child.py",
}
"""They inherit the worker's environment; the self-test looks at that of every process it starts."""

LOOKS_AND_LEAVES = {"appliance/container/health.py"}
"""Starts nothing and imports no library."""

WITNESS = """
import atexit, json, os
atexit.register(lambda: open(os.environ["TOLD"], "w").write(json.dumps(dict(os.environ))))
"""


@pytest.mark.parametrize("entry", ENTRIES)
def test_every_entry_sets_every_switch(entry: str, tmp_path: Path) -> None:
    """Started in an environment that says the opposite, each entry ends in one that has all of them."""
    (tmp_path / "sitecustomize.py").write_text(WITNESS)
    opposite = dict.fromkeys(OFFLINE_SWITCHES, "0")
    found = {"PYTHONPATH": f"{tmp_path}:{HOUSE}", "TOLD": str(tmp_path / "told"), LOCK_VARIABLE: "0"}
    module = entry.removesuffix(".py").replace("/", ".")
    arguments = [argument.format(folder=tmp_path) for argument in ENTRIES[entry]]
    command = [sys.executable, "-P", "-m", module, *arguments]
    subprocess.run(command, env={**os.environ, **opposite, **found}, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    told = json.loads((tmp_path / "told").read_text())
    assert {name: told.get(name) for name in OFFLINE_SWITCHES} == OFFLINE_SWITCHES


def test_no_entry_is_forgotten() -> None:
    """Whatever can be started as a program is one of the entries, or a child of a worker."""
    programs = {
        named(path) for path in python_files(*PACKAGES) if re.search(r'^if __name__ == "__main__":', path.read_text("utf-8"), re.MULTILINE)
    }
    assert programs == set(ENTRIES) | CHILDREN_OF_A_WORKER | LOOKS_AND_LEAVES
