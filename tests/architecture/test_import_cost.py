"""What a start of the command costs, and that no heavy library is part of it."""

from __future__ import annotations

import importlib.util
import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = {
    "torch", "transformers", "peft", "accelerate", "bitsandbytes", "tokenizers", "llama_cpp", "gguf", "safetensors", "numpy",
    "huggingface_hub", "onnxruntime", "numba", "pandas", "pyarrow", "arro3", "python_calamine", "pypdfium2",
}  # fmt: skip
DATABASE = {"sqlite3", "pysqlite3", "sqlite_utils", "appliance.store"}
COMMAND = Path(sys.executable).parent / "greenwave"

HELP_SECONDS = 0.250
TUI_SECONDS = 0.400
ATTEMPTS = 7
"""The best of them counts: it is the cost of the code, the others are the cost of what else the machine was doing."""


def loaded_by(module: str) -> set[str]:
    """Names of all modules in a fresh interpreter after importing one."""
    program = f"import sys, json, {module}; print(json.dumps(sorted(sys.modules)))"
    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True)
    return set(json.loads(printed.stdout))


def best_seconds(command: list[str]) -> float:
    """The quickest of several runs, in seconds of processor time.

    On an idle machine that is the wall time, since a start waits for nothing; on a busy one wall time measures the others.
    """
    taken = []
    for _ in range(ATTEMPTS):
        begun = processor_seconds()
        subprocess.run(command, capture_output=True, check=True, env={**os.environ, "NO_COLOR": "1"})
        taken.append(processor_seconds() - begun)
    print(f"{' '.join(command)}: best {min(taken) * 1000:.0f} ms, worst {max(taken) * 1000:.0f} ms of {ATTEMPTS}")
    return min(taken)


def processor_seconds() -> float:
    """What ended children of this process have used of the processor."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@pytest.mark.parametrize(
    "module", ["appliance.entry", "appliance.cli.root", "appliance.services.workbench", "appliance.running.conductor", "tui"]
)
def test_light_processes_stay_light(module: str) -> None:
    """Front ends and conductor load no heavy library, not even through others."""
    assert HEAVY & loaded_by(module) == set()


def test_every_command_is_light() -> None:
    """The same holds for every module of the command line, those that a command imports only when used among them."""
    from importlib.resources import files

    modules = [f"appliance.cli.{path.name[:-3]}" for path in files("appliance.cli").iterdir() if path.name.endswith(".py")]
    assert HEAVY & loaded_by(", ".join(sorted(modules))) == set()


def test_a_worker_reaches_no_database() -> None:
    """The process that runs a stage loads neither the store nor SQLite before the stage itself."""
    loaded = loaded_by("appliance.running.worker")
    assert loaded & (HEAVY | DATABASE) == set()


def test_the_supervisor_reaches_no_database() -> None:
    """Process 1 of a container loads neither heavy libraries nor the store, so that nothing there can end it."""
    loaded = loaded_by("appliance.container.supervisor, appliance.container.surroundings")
    assert loaded & (HEAVY | DATABASE) == set()


def test_help_comes_at_once() -> None:
    """``greenwave --help`` answers within 250 ms."""
    assert best_seconds([str(COMMAND), "--help"]) <= HELP_SECONDS


def test_terminal_ui_comes_at_once() -> None:
    """The terminal UI is imported within 400 ms, the interpreter's own start included."""
    module = "tui.app" if importlib.util.find_spec("tui.app") else "tui"
    assert best_seconds([sys.executable, "-c", f"import {module}"]) <= TUI_SECONDS
