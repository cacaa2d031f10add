"""Is this box fit? One check after the other, each with what was found and, where it is not well, what to do."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, requires, version
from typing import Any, Literal

from appliance.domain.errors import ApplianceError
from appliance.domain.event import Notice
from appliance.domain.home import Home
from appliance.domain.spec import ProbeSpec
from appliance.inference.server import find_llama_server
from appliance.processes.room import usable_cores
from appliance.running.direct import stage_events
from appliance.running.offline import OFFLINE_SWITCHES
from appliance.services.gpu import ask_driver
from appliance.services.graphics import graphics_situation
from appliance.services.network import network_state
from appliance.services.volume import in_container, require_own, require_volume

CheckState = Literal["ok", "warning", "failed"]

_GB = 1_000_000_000
MEMORY_TO_TEACH, MEMORY_FOR_7B = 4 * _GB, 16 * _GB
DISK_TO_TEACH, DISK_FOR_7B = 2 * _GB, 40 * _GB


@dataclass(frozen=True)
class Check:
    """One finding; ``code`` names its sentence under ``checks`` in the texts."""

    name: str
    state: CheckState
    code: str
    parameters: dict[str, Any] = field(default_factory=dict)


def examine_box(home: Home) -> Iterator[Check]:
    """Every check, in the order in which a person would ask; the slow one last."""
    yield _python()
    yield _processor()
    yield _memory()
    yield _disk(home)
    if in_container():
        yield _volume(home)
    yield _database(home)
    yield _gpu()
    yield _libraries()
    yield _llama()
    yield _offline()
    yield _network()
    yield _computation()


def glance_at_box(home: Home) -> Iterator[Check]:
    """The checks that take milliseconds, for a picture of the box at any time."""
    yield _processor()
    yield _memory()
    yield _disk(home)
    yield _gpu()
    yield _offline()
    yield _network()


def _python() -> Check:
    found = platform.python_version()
    return Check("python", "ok" if sys.version_info >= (3, 11) else "failed", "python_version", {"version": found, "needed": "3.11"})


def _processor() -> Check:
    flags = _proc_line("/proc/cpuinfo", "flags").split()
    extensions = [flag for flag in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if flag in flags]
    cores = usable_cores()
    state: CheckState = "ok" if "avx2" in flags or platform.machine() != "x86_64" else "warning"
    return Check("processor", state, "processor_found", {"cores": cores, "extensions": ", ".join(extensions) or "-"})


def _memory() -> Check:
    from appliance.processes.room import host_memory

    available, total = host_memory()
    found = {"total": total, "available": available}
    if available < MEMORY_TO_TEACH:
        return Check("memory", "failed", "memory_too_small", {**found, "needed": MEMORY_TO_TEACH})
    if total < MEMORY_FOR_7B:
        return Check("memory", "warning", "memory_for_small_models", {**found, "needed": MEMORY_FOR_7B})
    return Check("memory", "ok", "memory_enough", found)


def _disk(home: Home) -> Check:
    there = next(folder for folder in (home.root, *home.root.parents) if os.access(folder, os.F_OK))
    free = shutil.disk_usage(there).free
    found = {"path": str(home.root), "free": free}
    if not os.access(there, os.W_OK | os.X_OK):
        return Check("disk", "failed", "home_not_writable", found)
    if free < DISK_TO_TEACH:
        return Check("disk", "failed", "disk_nearly_full", {**found, "needed": DISK_TO_TEACH})
    if free < DISK_FOR_7B:
        return Check("disk", "warning", "disk_for_small_models", {**found, "needed": DISK_FOR_7B})
    return Check("disk", "ok", "disk_enough", found)


def _volume(home: Home) -> Check:
    try:
        require_volume(home.root)
        require_own(home.root)
    except ApplianceError as error:
        return Check("volume", "failed", error.code, error.parameters)
    status = home.root.stat()
    return Check("volume", "ok", "volume_mounted", {"path": str(home.root), "owner": f"{status.st_uid}:{status.st_gid}"})


def _database(home: Home) -> Check:
    from appliance.store.database import sqlite_version
    from appliance.store.store import Store

    try:
        Store(home.root).close()
    except ApplianceError as error:
        return Check("database", "failed", "database_unusable", {"reason": str(error)})
    return Check("database", "ok", "database_usable", {"version": sqlite_version()})


def _gpu() -> Check:
    situation = graphics_situation()
    if situation.trouble is not None:
        state: CheckState = "failed" if situation.trouble == "driver_too_old" else "warning"
        return Check("gpu", state, f"graphics_{situation.trouble}", {"driver": situation.driver, "needed": situation.needed})
    try:
        found = ask_driver()
    except FileNotFoundError:
        return Check("gpu", "warning", "gpu_none")
    except (subprocess.SubprocessError, OSError) as error:
        return Check("gpu", "warning", "gpu_driver_silent", {"reason": str(error)[:200]})
    return Check("gpu", "ok", "gpu_found", {"gpu": "; ".join(f"{gpu.name}, {gpu.memory_total >> 20} MiB, {gpu.driver}" for gpu in found)})


def _libraries() -> Check:
    from packaging.requirements import Requirement

    missing: list[str] = []
    found: dict[str, str] = {}
    for requirement in map(Requirement, _requirements()):
        try:
            found[requirement.name] = version(requirement.name)
        except PackageNotFoundError:
            missing.append(requirement.name)
    if missing:
        return Check("libraries", "failed", "libraries_missing", {"missing": ", ".join(missing)})
    shown = ", ".join(f"{name} {found[name]}" for name in ("torch", "transformers", "peft", "bitsandbytes") if name in found)
    return Check("libraries", "ok", "libraries_found", {"count": len(found), "shown": shown})


def _requirements() -> list[str]:
    """What the package says it needs, tests aside; the package itself when it was never installed."""
    try:
        return [line for line in requires("greenwave") or () if "extra ==" not in line]
    except PackageNotFoundError:
        return ["greenwave"]


def _llama() -> Check:
    try:
        program = find_llama_server()
        told = subprocess.run([str(program), "--version"], capture_output=True, text=True, timeout=30, check=True)
    except ApplianceError as error:
        return Check("llama", "failed", "llama_broken", {"reason": error.code})
    except (subprocess.SubprocessError, OSError) as error:
        return Check("llama", "failed", "llama_broken", {"reason": str(error)[:200]})
    lines = (told.stdout + told.stderr).splitlines()
    found = next((line for line in lines if line.startswith("version")), lines[0] if lines else "")
    return Check("llama", "ok", "llama_runs", {"version": found.removeprefix("version: ")})


def _offline() -> Check:
    unset = [name for name, value in OFFLINE_SWITCHES.items() if os.environ.get(name) != value]
    if unset:
        return Check("offline", "failed", "switches_missing", {"missing": ", ".join(unset)})
    return Check("offline", "ok", "switches_set", {"count": len(OFFLINE_SWITCHES)})


def _network() -> Check:
    found = network_state()
    interfaces = ", ".join(found.interfaces) or "-"
    if found.silence == "speaking":
        return Check("network", "warning", "network_speaking", {"speakers": ", ".join(found.speakers[:5]), "interfaces": interfaces})
    code = "network_sealed" if found.silence == "sealed" else "network_silent"
    return Check("network", "ok", code, {"processes": found.processes, "interfaces": interfaces})


def _computation() -> Check:
    try:
        notices = [event for event in stage_events("probe", ProbeSpec()) if isinstance(event, Notice)]
    except ApplianceError as error:
        return Check("computation", "failed", "computation_broken", {"reason": str(error)[:300]})
    return Check("computation", "ok", "computation_right", dict(notices[-1].parameters))


def _proc_line(file: str, key: str) -> str:
    with open(file, encoding="ascii", errors="replace") as lines:  # noqa: PTH123  # /proc is no place for Path's conveniences
        return next((line.partition(":")[2] for line in lines if line.startswith(key)), "")
