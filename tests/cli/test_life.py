"""The life of a model from the command line, on the teaching base: short in the usual tests, whole and under attack in the slow ones."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from appliance import demo
from tests.cli.conftest import Greenwave

SHORT = ("--set", "training.max_steps=4", "--set", "training.max_length=128", "--set", "training.checkpointing=none")


def start(*arguments: object) -> subprocess.Popen[str]:
    """A front end as a process of its own, as in a terminal."""
    command = [sys.executable, "-m", "appliance.entry", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=Path(demo.__file__).parents[2])


def bring_in(greenwave: Greenwave) -> None:
    """The teaching base and the sample records, ready to train on."""
    assert greenwave("models", "import", demo.base_folder(), "--name", "base").status == 0
    assert greenwave("datasets", "import", demo.records_file(), "--name", "rows").status == 0
    assert greenwave("datasets", "split", "rows").status == 0


def train(name: str, *more: str) -> list[str]:
    """The words of a training command."""
    return ["train", "--base", "base", "--dataset", "rows-train", "--without-redaction", "--name", name, *more]


def wait_for_metric(greenwave: Greenwave, run: str, step: int, seconds: float = 120.0) -> None:
    """Wait until the run has told the loss of an optimizer step."""
    from appliance.domain.event import Metric
    from appliance.services.workbench import Workbench

    workbench, deadline = Workbench(), time.monotonic() + seconds
    run_id = workbench.runs.get(run).id
    while not any(
        isinstance(one.event, Metric) and one.event.name == "loss" and one.event.step >= step for one in workbench.runs.events(run_id)
    ):
        assert workbench.runs.get(run_id).state in ("queued", "running"), greenwave("runs", "show", run).out
        assert time.monotonic() < deadline
        time.sleep(0.05)


def wait_until_over(greenwave: Greenwave, run: str, seconds: float = 180.0) -> dict[str, Any]:
    """The run as ``runs show`` tells it once it is over."""
    deadline = time.monotonic() + seconds
    while (shown := greenwave("runs", "show", run, "--json").json)["state"] in ("queued", "running"):
        assert time.monotonic() < deadline, shown
        time.sleep(0.2)
    assert isinstance(shown, dict)
    return shown


def test_from_a_folder_and_a_file_to_an_answer(greenwave: Greenwave, tmp_path: Path) -> None:
    """Import, train, evaluate, export both ways, verify, ask: every step is listed with its parents and scores."""
    bring_in(greenwave)
    tuned = greenwave(*train("tuned", *SHORT), "--json")
    assert tuned.status == 0, tuned.err
    assert tuned.json["facts"]["steps"] == 4
    exam = tmp_path / "exam.jsonl"
    exam.write_text("".join(demo.exam_file().read_text("utf-8").splitlines(keepends=True)[:8]), "utf-8")
    scores = greenwave("evaluate", "tuned", "--dataset", "rows-validation", "--exam", exam, "--json").json["scores"]
    assert scores["validation_loss"] > 0
    assert 0 <= scores["exam_accuracy"] <= 1
    merged = greenwave("export", "tuned", "--name", "merged", "--merged", "--json")
    assert merged.status == 0, merged.err
    gguf = greenwave("export", "tuned", "--name", "q4", "--type", "Q4_K_M", "--json")
    assert gguf.status == 0, gguf.err
    assert Path(gguf.json["path"]).read_bytes()[:4] == b"GGUF"
    assert greenwave("models", "verify", "q4", "--json").json["verified"]
    tree = greenwave("models", "lineage", "q4", "--json").json
    adapter = next(parent for parent in tree["parents"] if parent["role"] == "adapter")
    assert {parent["name"] for parent in adapter["parents"]} == {"base", "rows-train", "rows-validation"}
    answer = greenwave("chat", "q4", "今天松棠路口运行的是哪一套配时方案？", "--temperature", 0, "--json").json
    assert answer["text"]
    assert answer["tokens_per_second"] > 0
    listed = {model["name"]: model["kind"] for model in greenwave("models", "list", "--json").json}
    assert listed == {"base": "base", "tuned": "adapter", "merged": "merged", "q4": "gguf"}
    refused = greenwave("chat", "tuned", "?", "--json")
    assert (refused.status, refused.error["code"]) == (2, "model_not_servable")
    with Path(gguf.json["path"]).open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"\x7f")
    assert greenwave("models", "verify", "q4", "--json").error["code"] == "model_altered"


def test_a_gpu_that_is_not_there_is_refused(greenwave: Greenwave) -> None:
    """Demanding a GPU on a box without one ends with exit code 4 before any training."""
    if Path("/proc/driver/nvidia/version").exists():
        pytest.skip("this box has a GPU")
    bring_in(greenwave)
    refused = greenwave(*train("tuned", "--device", "cuda"), "--json")
    assert (refused.status, refused.error["code"]) == (4, "gpu_missing")


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("pytorch_model.bin", b"\x80\x04pickle"),
        ("config.json", None),
        ("modeling_evil.py", b"print('x')"),
        ("model.safetensors", b"\xff" * 64),
    ],
)
def test_a_base_that_could_run_code_or_is_broken_is_refused(greenwave: Greenwave, tmp_path: Path, file: str, content: bytes | None) -> None:
    """Pickles, code, ``auto_map`` and broken weights: refused by name with exit code 3, nothing copied."""
    folder = tmp_path / "base"
    shutil.copytree(demo.base_folder(), folder)
    if content is None:
        config = json.loads((folder / file).read_text("utf-8"))
        (folder / file).write_text(json.dumps({**config, "auto_map": {"AutoModel": "evil.Model"}}), "utf-8")
    else:
        (folder / file).write_bytes(content)
    refused = greenwave("models", "import", folder, "--name", "bad", "--json")
    assert refused.status == 3, refused.err
    assert refused.error["hint"]
    assert greenwave("models", "list", "--json").json == []


@pytest.mark.slow
def test_the_demonstration_keeps_its_promise(greenwave: Greenwave) -> None:
    """Tuned at least 70 % and 50 points above the base, quantized within 5 points of it, no process above 2.5 GB, rows that add up."""
    told = greenwave("demo", "--json")
    assert told.status == 0, told.err
    shown = told.json
    rows, exam = shown["rows"], shown["exam"]
    assert rows["read"] == rows["accepted"] + rows["rejected"]
    assert exam["tuned"] >= 0.70
    assert exam["tuned"] - exam["base"] >= 0.50
    assert exam["tuned"] - exam["quantized"] <= 0.05
    assert shown["peak_memory_mb"] <= 2500
    assert shown["answer"]
    assert Path(shown["model"]["path"]).exists()
    states = {run["name"]: run["state"] for run in greenwave("runs", "list", "--json").json}
    assert states == {"demo": "done"}


@pytest.mark.slow
def test_a_killed_front_end_does_not_stop_the_run(greenwave: Greenwave) -> None:
    """SIGKILL to the command that follows a training: the training ends by itself, done."""
    bring_in(greenwave)
    front_end = start(*train("tuned", *SHORT))
    wait_for_run(greenwave, "train-tuned")
    front_end.kill()
    front_end.communicate()
    assert wait_until_over(greenwave, "train-tuned")["state"] == "done"


@pytest.mark.slow
def test_ctrl_c_cancels_the_run_of_that_command(greenwave: Greenwave) -> None:
    """SIGINT to the front end: exit status 130, the run is cancelled, no adapter is listed, and resume finishes it."""
    bring_in(greenwave)
    front_end = start(*train("tuned", "--set", "training.max_steps=60", "--set", "training.save_steps=5", *SHORT[2:]))
    wait_for_run(greenwave, "train-tuned")
    wait_for_metric(greenwave, "train-tuned", 6)
    front_end.send_signal(signal.SIGINT)
    front_end.communicate(timeout=60)
    assert front_end.returncode == 130
    assert greenwave("runs", "show", "train-tuned", "--json").json["state"] == "cancelled"
    assert [model["name"] for model in greenwave("models", "list", "--json").json] == ["base"]
    assert greenwave("runs", "resume", "train-tuned", "--json").json["name"] == "tuned"


@pytest.mark.slow
def test_a_killed_worker_is_told_and_the_run_resumes_from_its_checkpoint(greenwave: Greenwave) -> None:
    """kill -9 in the middle of training: failed with cause and hint; resume goes on behind the last checkpoint, not at step 0."""
    bring_in(greenwave)
    settings = ["--set", "training.max_steps=40", "--set", "training.save_steps=10", *SHORT[2:]]
    run_id = greenwave(*train("tuned", *settings), "--detach", "--json").json["run"]
    wait_for_metric(greenwave, run_id, 12)
    conductor = psutil.Process(greenwave("runs", "show", run_id, "--json").json["pid"])
    for worker in conductor.children(recursive=True):
        worker.kill()
    shown = wait_until_over(greenwave, run_id)
    assert (shown["state"], shown["failure"]["code"]) == ("failed", "worker_killed")
    seen = len(greenwave("runs", "watch", run_id, "--jsonl").out.splitlines())
    assert greenwave("runs", "resume", run_id).status == 0
    events = [json.loads(line)["event"] for line in greenwave("runs", "watch", run_id, "--jsonl").out.splitlines()[seen:]]
    steps = [event["step"] for event in events if event["type"] == "metric" and event["name"] == "loss"]
    assert min(steps) > 10
    assert max(steps) == 40


@pytest.mark.slow
def test_a_lost_conductor_is_recognised_at_the_next_start(greenwave: Greenwave) -> None:
    """kill -9 of everything, as a power cut does: the next command shows the run as interrupted, and resume finishes it."""
    bring_in(greenwave)
    settings = ["--set", "training.max_steps=20", "--set", "training.save_steps=5", *SHORT[2:]]
    run_id = greenwave(*train("tuned", *settings), "--detach", "--json").json["run"]
    wait_for_metric(greenwave, run_id, 6)
    conductor = psutil.Process(greenwave("runs", "show", run_id, "--json").json["pid"])
    family = [conductor, *conductor.children(recursive=True)]
    for process in family:
        process.kill()
    psutil.wait_procs(family, timeout=10)
    assert greenwave("runs", "list", "--json").json[0]["state"] == "interrupted"
    assert greenwave("runs", "resume", run_id).status == 0
    assert "tuned" in [model["name"] for model in greenwave("models", "list", "--json").json]


def wait_for_run(greenwave: Greenwave, name: str, seconds: float = 30.0) -> None:
    """Wait until a run of this name is known."""
    deadline = time.monotonic() + seconds
    while greenwave("runs", "show", name, "--json").status != 0:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_general_rows_are_mixed_in(greenwave: Greenwave, tmp_path: Path) -> None:
    """A general dataset is split, watched and replayed by a fifth; --mix sets other shares; both are in the lineage."""
    bring_in(greenwave)
    laws = tmp_path / "laws.jsonl"
    laws.write_text("".join(json.dumps({"instruction": f"Article {number}?", "output": "Stop."}) + "\n" for number in range(9)), "utf-8")
    for name, source in (("general", demo.records_file()), ("laws", laws)):
        assert greenwave("datasets", "import", source, "--name", name).status == 0
    tuned = greenwave(*train("tuned", *SHORT, "--general", "general", "--mix", "laws=0.1"), "--json")
    assert tuned.status == 0, tuned.err
    mixed = {part["name"]: part["rows_per_epoch"] for part in tuned.json["facts"]["mixed"]}
    rows = tuned.json["facts"]["rows"]
    assert mixed == {"laws": round(rows * 0.1 / 0.7), "general": round(rows * 0.2 / 0.7)}
    parents = greenwave("models", "lineage", "tuned", "--json").json["parents"]
    roles = sorted((parent["role"], parent["name"]) for parent in parents)
    assert ("general", "general-validation") in roles
    assert ("mixed", "general-train") in roles and ("mixed", "laws") in roles
    refused = greenwave(*train("more", "--mix", "general=much"), "--json")
    assert (refused.status, refused.error["code"]) == (2, "mix_malformed")
    refused = greenwave(*train("more", "--general", "general", "--mix", "laws=0.8"), "--json")
    assert (refused.status, refused.error["code"]) == (2, "mix_too_large")
