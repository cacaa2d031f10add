"""An export that is killed at any moment: nothing announced, nothing left, and the same file in the end."""

from __future__ import annotations

import random
import signal
import time
from pathlib import Path

import psutil
import pytest

from appliance import demo
from appliance.domain.event import Started
from appliance.domain.home import Home
from appliance.domain.model import Model
from appliance.domain.run import Run
from appliance.files.checksum import folder_manifest
from appliance.services.recipes import compose_recipe
from appliance.services.workbench import Workbench
from tests.stages.export.tiny_base import make_base

PARTS = ("sample", "full_precision", "importance", "merge_quantize", "check", "quality")


def bring_in(workbench: Workbench, base: Path) -> None:
    """A base and a dataset."""
    assert workbench.runs.wait(workbench.models.start_import(base, "base").id).state == "done"
    assert workbench.runs.wait(workbench.datasets.start_import(demo.records_file(), "rows").id).state == "done"


def start_export(workbench: Workbench) -> Run:
    """With everything that an export can do."""
    return workbench.models.start_export("base", "served", compose_recipe(), imatrix="rows", validation="rows")


def files_of(model: Model) -> dict[str, str]:
    """Checksums of the file and of the matrix beside it."""
    return folder_manifest(Path(model.path).parent)


def part_of(workbench: Workbench, run: Run, after: int) -> str:
    """The part that has begun last since an event."""
    parts = [one.event.what for one in workbench.runs.events(run.id, after) if isinstance(one.event, Started)]
    return parts[-1] if parts else ""


def last_event(workbench: Workbench, run: Run) -> int:
    """Number of the newest event."""
    return max((one.id for one in workbench.runs.events(run.id)), default=0)


def family_of(workbench: Workbench, run: Run, seconds: float = 90.0) -> list[psutil.Process]:
    """Conductor, worker and its children, in this order."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        pid = workbench.runs.get(run.id).pid
        if pid is not None and psutil.pid_exists(pid):
            conductor = psutil.Process(pid)
            family = [conductor, *conductor.children(recursive=True)]
            if len(family) > 1:
                return family
        time.sleep(0.02)
    raise AssertionError("the run has not come to life")


def attack(how: str, family: list[psutil.Process]) -> None:
    """Kill as people, the kernel and a power cut do."""
    conductor, worker, *_ = family
    match how:
        case "power cut":
            for process in family[:2]:
                process.kill()
        case "stop":
            conductor.send_signal(signal.SIGTERM)
        case "worker killed":
            worker.kill()
        case "worker stopped":
            worker.send_signal(signal.SIGTERM)


def wait_for_part(workbench: Workbench, run: Run, part: str, after: int, seconds: float = 120.0) -> None:
    """Wait until a part of the stage has begun, or one behind it."""
    deadline = time.monotonic() + seconds
    while PARTS.index(part) > (PARTS.index(seen) if (seen := part_of(workbench, run, after)) else -1):
        assert workbench.runs.get(run.id).state in ("queued", "running")
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_whatever_kills_an_export_the_result_is_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fourteen kills, in every part and at random: no model, no file, no process is left; the last resume gives the undisturbed bytes."""
    chance = random.Random(11)
    base = make_base(tmp_path / "base", hidden_size=512, intermediate_size=1024, num_attention_heads=8, num_hidden_layers=4)
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.setenv("GREENWAVE_HOME", str(tmp_path / "undisturbed"))
    undisturbed = Workbench()
    bring_in(undisturbed, base)
    began = time.monotonic()
    assert undisturbed.runs.wait(start_export(undisturbed).id).state == "done"
    seconds = time.monotonic() - began

    monkeypatch.setenv("GREENWAVE_HOME", str(tmp_path / "attacked"))
    workbench, models = Workbench(), Home(tmp_path / "attacked").root / "models"
    bring_in(workbench, base)
    before = set(models.iterdir())
    run = start_export(workbench)
    attacks = ["power cut", "stop", "worker killed", "worker stopped"]
    hit = []
    for number in range(14):
        seen = last_event(workbench, run)
        if number < len(PARTS):
            wait_for_part(workbench, run, PARTS[number], seen)
            time.sleep(chance.uniform(0, 0.4))
        else:
            time.sleep(chance.uniform(0, seconds / 2))  # well before its end: what was kept makes a resumed run the faster one
        family = family_of(workbench, run)
        attack(attacks[number % 4], family)
        hit.append(part_of(workbench, run, seen))
        assert not psutil.wait_procs(family, timeout=40)[1], attacks[number % 4]
        workbench.runs.recognise_lost()
        assert workbench.runs.get(run.id).state in ("interrupted", "failed")
        assert [model.name for model in workbench.models.all()] == ["base"]
        assert set(models.iterdir()) == before
        assert list(temporary.iterdir()) == []
        run = workbench.runs.resume(run.id)
    assert {"importance", "quality"} <= set(hit)
    assert workbench.runs.wait(run.id).state == "done"
    assert files_of(workbench.models.get("served")) == files_of(undisturbed.models.get("served"))
    assert workbench.models.verify("served")["verified"]
    assert list(temporary.iterdir()) == []


@pytest.mark.slow
def test_a_lost_export_that_nobody_resumes_leaves_nothing(tmp_path: Path) -> None:
    """After a power cut the next start clears what was half-written; cancelling then needs no cleaning by hand."""
    base = make_base(tmp_path / "base", hidden_size=512, intermediate_size=1024, num_attention_heads=8, num_hidden_layers=4)
    workbench = Workbench()
    bring_in(workbench, base)
    models = Home.from_environment().root / "models"
    before = set(models.iterdir())
    run = start_export(workbench)
    wait_for_part(workbench, run, "importance", 0)
    assert set(models.iterdir()) != before
    family = family_of(workbench, run)
    attack("power cut", family)
    psutil.wait_procs(family, timeout=40)
    workbench.runs.recognise_lost()
    assert workbench.runs.cancel(run.id).state == "cancelled"
    assert set(models.iterdir()) == before
