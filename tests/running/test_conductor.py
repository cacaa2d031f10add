"""The conductor against workers that crash, hang, flood, forget and lie."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import psutil
import pytest

from appliance.domain.event import Finished, Metric, Notice, Progress, to_line
from appliance.domain.identity import new_id
from appliance.domain.run import Run
from appliance.processes.locks import try_lock
from appliance.running.launch import claim_run, is_alive, start_conductor
from appliance.running.recording import StageStory
from appliance.running.recovery import recognise_lost_runs
from appliance.store.store import Store
from appliance.texts.speech import explain_code
from tests.running.conftest import PROGRAM, AttackBench


def worker_of(bench: AttackBench, run_id: str) -> psutil.Process:
    """The process that works for a run."""
    pid = bench.find(run_id).pid
    assert pid is not None
    workers = [child for child in psutil.Process(pid).children(recursive=True) if "tests.running.attacks.worker" in child.cmdline()]
    assert len(workers) == 1, workers
    return workers[0]


def test_a_good_run_is_done_and_its_result_registered(bench: AttackBench) -> None:
    """A stage that ends well makes its run done, its dataset known, and its events readable in order."""
    run_id = bench.start(bench.stage("plain", "rows"))
    assert bench.wait(run_id).state == "done", bench.log(run_id)
    dataset = bench.store.datasets.find("rows")
    assert dataset is not None
    assert (Path(dataset.path) / "rows.jsonl").exists()
    assert dataset.run_id == run_id
    events = [recorded.event for recorded in bench.store.events.after(run_id)]
    assert Progress(1) in events
    assert events[-1] == Finished()
    stage = bench.store.runs.stages(run_id)[0]
    assert stage.state == "done"
    assert stage.peak_memory > 5_000_000


@pytest.mark.parametrize(
    ("attack", "code"),
    [("crash", "worker_crashed"), ("refuse", "source_missing"), ("forget", "result_missing"), ("eat", "out_of_memory_host")],
)
def test_a_bad_stage_fails_its_run_by_name(bench: AttackBench, attack: str, code: str) -> None:
    """However a worker fails, the run is failed with a code that has a sentence and a hint, and nothing is registered."""
    run_id = bench.start(bench.stage(attack, "promised"))
    run = bench.wait(run_id)
    assert (run.state, run.failure["code"]) == ("failed", code), bench.log(run_id)
    message, hint = explain_code(code, run.failure["parameters"], "zh")
    assert code not in message
    assert hint
    assert bench.store.datasets.find("promised") is None


def test_a_killed_worker_is_named(bench: AttackBench) -> None:
    """SIGKILL from outside ends the run as failed with the signal named; the conductor itself ends too."""
    run_id = bench.start(bench.stage("wait", seconds=60))
    bench.wait_for_worker(run_id)
    worker_of(bench, run_id).kill()
    run = bench.wait(run_id)
    assert (run.state, run.failure["code"]) == ("failed", "worker_killed")
    assert run.failure["parameters"]["signal"] == "SIGKILL"


def test_a_flood_is_recorded_in_bounded_memory(bench: AttackBench) -> None:
    """50,000 progress events are thinned, 50,000 notices all arrive in order, and the conductor stays small."""
    run_id = bench.start(bench.stage("flood", amount=50_000))
    largest = 0
    while (run := bench.find(run_id)).state not in ("done", "failed"):
        if run.pid and psutil.pid_exists(run.pid):
            largest = max(largest, psutil.Process(run.pid).memory_info().rss)
        time.sleep(0.1)
    assert run.state == "done", bench.log(run_id)
    after, numbers, progress = 0, [], []
    while batch := list(bench.store.events.after(run_id, after)):
        after = batch[-1].id
        numbers += [one.event.parameters["number"] for one in batch if isinstance(one.event, Notice)]
        progress += [one.event.done for one in batch if isinstance(one.event, Progress)]
    assert numbers == list(range(50_000))
    assert progress[-1] == 50_000
    assert len(progress) < 200
    assert largest < 150_000_000


def test_what_libraries_print_does_not_mix_with_events(bench: AttackBench) -> None:
    """Prints from Python and C go to the log; a number that JSON does not know does not end the run."""
    run_id = bench.start(bench.stage("garbage"))
    assert bench.wait(run_id).state == "done", bench.log(run_id)
    metrics = [recorded.event for recorded in bench.store.events.after(run_id) if isinstance(recorded.event, Metric)]
    assert Metric("loss", 2, 1.5) in metrics
    assert "printed by a library" in bench.log(run_id)
    assert "written by C" in bench.log(run_id)


def test_a_hanging_worker_is_killed_on_cancel(bench: AttackBench) -> None:
    """A worker that ignores SIGTERM is killed after the grace, and the run is cancelled, not failed."""
    run_id = bench.start(bench.stage("hang"), bench.stage("plain", "never"))
    bench.wait_for_worker(run_id)
    worker = worker_of(bench, run_id)
    bench.store.runs.change(run_id, wish="cancel")
    assert bench.wait(run_id).state == "cancelled"
    assert not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE
    assert [stage.state for stage in bench.store.runs.stages(run_id)] == ["cancelled", "pending"]


def test_an_interrupted_run_resumes_at_its_unfinished_stage(bench: AttackBench) -> None:
    """SIGTERM to the conductor interrupts; a new conductor does not repeat what is done."""
    run_id = bench.start(bench.stage("plain", "first"), bench.stage("wait", "second", seconds=2))
    bench.wait_for_worker(run_id, position=1)
    first_ended = bench.store.runs.stages(run_id)[0].ended
    pid = bench.find(run_id).pid
    assert pid is not None
    os.kill(pid, signal.SIGTERM)
    assert bench.wait(run_id).state == "interrupted"
    assert bench.store.datasets.find("second") is None
    while is_alive(bench.home, run_id):
        time.sleep(0.02)
    bench.resume(run_id)
    assert bench.wait(run_id, "done", "failed").state == "done", bench.log(run_id)
    assert bench.store.runs.stages(run_id)[0].ended == first_ended
    assert bench.store.datasets.find("second") is not None


def test_a_worker_that_fails_when_told_to_leave_is_interrupted(bench: AttackBench) -> None:
    """A library that takes the order for its own defect does not make a failed run of an interrupted one; a new conductor goes on."""
    run_id = bench.start(bench.stage("blame", seconds=30))
    bench.wait_for_worker(run_id)
    pid = bench.find(run_id).pid
    assert pid is not None
    os.kill(pid, signal.SIGTERM)
    run = bench.wait(run_id)
    assert (run.state, run.failure) == ("interrupted", {})


def test_a_lost_conductor_is_recognised_and_its_worker_dies(bench: AttackBench) -> None:
    """After kill -9 of the conductor the run is interrupted at the next look, its worker is gone, and it can be resumed."""
    run_id = bench.start(bench.stage("wait", "rows", seconds=3))
    bench.wait_for_worker(run_id)
    worker = worker_of(bench, run_id)
    pid = bench.find(run_id).pid
    assert pid is not None
    assert not recognise_lost_runs(bench.store, bench.home)
    os.kill(pid, signal.SIGKILL)
    psutil.wait_procs([worker], timeout=5)
    assert not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE
    while is_alive(bench.home, run_id):
        time.sleep(0.02)
    assert [run.id for run in recognise_lost_runs(bench.store, bench.home)] == [run_id]
    assert bench.find(run_id).state == "interrupted"
    assert bench.store.runs.stages(run_id)[0].state == "interrupted"
    bench.resume(run_id)
    assert bench.wait(run_id, "done", "failed").state == "done", bench.log(run_id)


def test_heavy_stages_run_one_at_a_time(bench: AttackBench) -> None:
    """While one heavy stage runs the other run is queued; then it goes on by itself."""
    first = bench.start(bench.stage("heavy", seconds=2))
    bench.wait_for_worker(first)
    second = bench.start(bench.stage("heavy", seconds=0))
    light = bench.start(bench.stage("plain", "light"))
    assert bench.wait(light).state == "done"
    assert bench.find(second).state == "queued"
    assert bench.wait(first).state == "done"
    assert bench.wait(second).state == "done"
    one, other = bench.store.runs.stages(first)[0], bench.store.runs.stages(second)[0]
    assert one.ended is not None
    assert other.started is not None
    assert other.started >= one.ended - 0.3


def test_a_queued_run_can_be_cancelled(bench: AttackBench) -> None:
    """A run that waits for the machine leaves the queue when it is cancelled."""
    first = bench.start(bench.stage("heavy", seconds=5))
    bench.wait_for_worker(first)
    second = bench.start(bench.stage("heavy"))
    bench.wait(second, "queued")
    bench.store.runs.change(second, wish="cancel")
    assert bench.wait(second).state == "cancelled"


def test_an_artefact_without_a_row_is_swept_before_the_stage_is_tried_again(bench: AttackBench) -> None:
    """A power cut between artefact and row leaves a folder that nobody knows; the next try replaces it."""
    stage = bench.stage("plain", "rows")
    orphan = bench.home.artefact("dataset", stage.publications[0].id) / "data"
    orphan.mkdir(parents=True)
    (orphan / "rows.jsonl").write_text("old")
    run_id = bench.start(stage)
    assert bench.wait(run_id).state == "done", bench.log(run_id)
    assert (orphan / "rows.jsonl").read_text() != "old"


def test_a_name_that_was_taken_meanwhile_fails_without_a_second_row(bench: AttackBench) -> None:
    """Two runs that promise one name: the later one fails by name, and the first one's dataset stays as it is."""
    first, second = bench.stage("plain", "same"), bench.stage("wait", "same", seconds=1)
    second_run = bench.start(second)
    assert bench.wait(bench.start(first)).state == "done"
    run = bench.wait(second_run)
    assert (run.state, run.failure["code"]) == ("failed", "name_taken")
    found = bench.store.datasets.find("same")
    assert found is not None
    assert found.id == first.publications[0].id


def test_what_lies_in_the_working_folder_is_not_imported(bench: AttackBench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file named like a library, in the folder of somebody's records, runs neither in the conductor nor in the worker."""
    for name in ("msgspec", "psutil", "click"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('imported')\n", "utf-8")
    monkeypatch.chdir(tmp_path)
    run_id = bench.start(bench.stage("plain", "rows"))
    assert bench.wait(run_id).state == "done", bench.log(run_id)


def test_a_run_that_was_to_be_cancelled_and_lost_its_conductor_is_cancelled(bench: AttackBench) -> None:
    """What a person decided holds, although the conductor died before it could write it down."""
    run_id = bench.start(bench.stage("hang"))
    bench.wait_for_worker(run_id)
    pid = bench.find(run_id).pid
    assert pid is not None
    worker = worker_of(bench, run_id)
    os.kill(pid, signal.SIGSTOP)
    bench.store.runs.change(run_id, wish="cancel")
    os.kill(pid, signal.SIGKILL)
    while is_alive(bench.home, run_id):
        time.sleep(0.02)
    worker.kill()
    assert recognise_lost_runs(bench.store, bench.home) == ()
    assert bench.find(run_id).state == "cancelled"
    assert bench.store.runs.stages(run_id)[0].state == "cancelled"


def test_two_workers_of_one_run_do_not_work_at_once(bench: AttackBench) -> None:
    """After a killed conductor the new worker waits until the old one has saved and gone."""
    stage = bench.stage("plain", "rows")
    run_id = new_id("run")
    saving = try_lock(bench.home.run(run_id) / "worker.lock")
    assert saving is not None
    lock = claim_run(bench.home, run_id)
    bench.store.runs.add(Run(id=run_id, name="attack", state="queued", created=time.time()), [stage])
    start_conductor(bench.home, run_id, lock, PROGRAM)
    bench.wait(run_id, "running")
    time.sleep(1.0)
    assert bench.find(run_id).state == "running"
    assert not list(bench.store.events.after(run_id))
    saving.release()
    assert bench.wait(run_id).state == "done", bench.log(run_id)


def test_a_record_that_cannot_be_written_for_a_while_loses_nothing(bench: AttackBench) -> None:
    """While the disk is full or the database busy, events wait; the stage that speaks goes on."""
    run = Run(id="r", name="n", state="running", created=1.0)
    bench.store.runs.add(run, [])
    story, blocker = StageStory(bench.store, "r", 0), Store(bench.home.root)
    bench.store._db.execute("PRAGMA busy_timeout = 0")
    with blocker.transaction():
        story.collect([to_line(Progress(1))])
        story.flush()
        story.collect([to_line(Progress(2))])
    assert not list(bench.store.events.after("r"))
    story.flush()
    assert [one.event for one in bench.store.events.after("r")] == [Progress(1), Progress(2)]
