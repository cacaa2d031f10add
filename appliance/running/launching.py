"""How a stage's worker is started: as a process of ours, or, for a training on several GPUs, as many at once by accelerate's launcher."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from appliance.running.launch import PYTHON

LAUNCHER = "accelerate.commands.launch"

ONLY_THIS_MACHINE: Mapping[str, str] = {
    "GLOO_SOCKET_IFNAME": "lo",
    "NCCL_SOCKET_IFNAME": "lo",
    # The launcher starts Python itself, and files in the working folder must not be imported in a library's place.
    "PYTHONSAFEPATH": "1",
}
"""Processes that train together talk to each other through the loopback device alone."""


def worker_command(program: str, stage: str, spec: Mapping[str, Any], spec_file: Path) -> list[str]:
    """The command line of a stage's worker; ``program`` is the worker's module."""
    worker = [program, stage, str(spec_file)]
    processes = int(spec.get("recipe", {}).get("processes", 1)) if stage == "train" else 1
    if processes == 1:
        return [*PYTHON, "-m", *worker]
    settings = {
        "num_processes": processes,
        "num_machines": 1,
        "main_process_ip": "127.0.0.1",
        "main_process_port": 0,  # any that is free
        "mixed_precision": "no",  # the stage chooses its arithmetic itself
        "dynamo_backend": "no",
    }
    options = [f"--{name}={value}" for name, value in settings.items()]
    return [*PYTHON, "-m", LAUNCHER, "--multi_gpu", *options, "--module", *worker]
