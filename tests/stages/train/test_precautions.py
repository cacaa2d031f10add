"""What is looked at before a training begins: what would waste hours or make its figures lie is told or refused in time."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch

from appliance.domain.errors import ApplianceError, ExitCode
from appliance.domain.event import Event, Notice, Started
from appliance.domain.spec import MixedRows
from appliance.files.checksum import size_of
from appliance.files.space import KEEP_FREE
from appliance.processes.stopping import Stopped
from appliance.stages import train as train_module
from appliance.stages.language_model.device import Device
from appliance.stages.train.precautions import consider_gpu_memory
from tests.stages.language_model.tiny import conversation, facts, write_rows
from tests.stages.train.test_resume import stop_after
from tests.stages.train.training import Trained

SHORT: dict[str, Any] = {"max_steps": 1, "dropout": 0.0}


class Disk:
    """How much is free where checkpoints are written, as the test has it."""

    free = 1 << 40


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    """A disk of any size."""
    found = Disk()
    usage = shutil.disk_usage

    def told(place: str) -> Any:
        return usage(place)._replace(free=found.free)

    monkeypatch.setattr(shutil, "disk_usage", told)
    return found


def refusal(trained: Trained) -> ApplianceError:
    """What ends a training before the base is loaded."""
    with pytest.raises(ApplianceError) as caught:
        trained.run()
    assert "load_base" not in [event.what for event in trained.of(Started)]
    return caught.value


def told(trained: Trained, code: str) -> list[Notice]:
    """What a training says under a code."""
    return [notice for notice in trained.of(Notice) if notice.code == code]


def test_validation_rows_that_are_trained_are_told(qwen2: Path, tmp_path: Path) -> None:
    """Some validation rows among the training rows are counted; where all are different, nothing is said."""
    trained = Trained(qwen2, tmp_path / "t", **SHORT)
    write_rows(Path(trained.spec.validation_rows), facts(27)[21:])
    assert told(trained.run(), "validation_leaks") == [Notice("warning", "validation_leaks", {"count": 3, "rows": 6, "share": 0.5})]
    assert not told(Trained(qwen2, tmp_path / "clean", **SHORT).run(), "validation_leaks")


def test_validation_on_training_rows_is_refused(qwen2: Path, tmp_path: Path) -> None:
    """When every validation row is trained, its loss would mean nothing: refused before the base is loaded."""
    trained = Trained(qwen2, tmp_path / "t", **SHORT)
    write_rows(Path(trained.spec.validation_rows), facts(24)[20:])
    assert (refusal(trained).code, refusal(trained).parameters) == ("validation_is_training", {"count": 4})


@pytest.mark.parametrize("leaked", [2, 6])
def test_mixed_rows_are_trained_rows(qwen2: Path, tmp_path: Path, leaked: int) -> None:
    """A validation row that is only in a dataset that is mixed in is trained all the same."""
    trained = Trained(qwen2, tmp_path / "t", **SHORT)
    rows = write_rows(tmp_path / "mixed.jsonl", facts(24 + leaked)[24:])
    trained.spec = msgspec.structs.replace(trained.spec, mixed=(MixedRows(name="mixed", rows=str(rows), share=0.1),))
    if leaked == 6:
        assert refusal(trained).code == "validation_is_training"
    else:
        (notice,) = told(trained.run(), "validation_leaks")
        assert notice.parameters == {"count": 2, "rows": 6, "share": pytest.approx(1 / 3)}


@pytest.mark.parametrize("policy", ["leave_out", "cut"])
def test_rows_that_are_all_cut_off_are_too_long(qwen2: Path, tmp_path: Path, policy: str) -> None:
    """When no answer is within the longest length, the length is blamed and not the chat template, whether rows are cut or left out."""
    trained = Trained(qwen2, tmp_path / "t", **SHORT, max_length=24, long_rows=policy)
    write_rows(Path(trained.spec.train_rows), [conversation("问" * 40, "答") for _ in range(3)])
    assert refusal(trained).code == "nothing_to_train"
    assert refusal(trained).parameters == {"rows": 3, "too_long": 3, "max_length": 24}


def test_rows_without_an_answer_train_nothing(qwen2: Path, tmp_path: Path) -> None:
    """Rows in which the model has nothing to say, short and long, are no matter of length; nor is a file without rows."""
    trained = Trained(qwen2, tmp_path / "t", **SHORT, max_length=24, long_rows="cut")
    write_rows(Path(trained.spec.train_rows), [conversation("问"), conversation("问" * 40)])
    assert (refusal(trained).code, refusal(trained).parameters) == ("template_trains_nothing", {"rows": 2})
    write_rows(Path(trained.spec.train_rows), [])
    assert refusal(trained).code == "no_rows_at_all"


def test_a_disk_that_is_too_small_is_told_before_the_base_is_loaded(qwen2: Path, tmp_path: Path, disk: Disk) -> None:
    """Room for all checkpoints and the result is asked for before minutes are spent on loading a base."""
    disk.free = KEEP_FREE + 1000
    refused = refusal(Trained(qwen2, tmp_path / "t", **SHORT))
    assert (refused.code, refused.exit_code, refused.parameters["free"]) == ("disk_too_small", ExitCode.NO_ROOM, disk.free)
    assert refused.parameters["needed"] > KEEP_FREE + 100_000


def test_room_that_is_occupied_already_is_not_asked_for_again(qwen2: Path, tmp_path: Path, disk: Disk) -> None:
    """A run whose checkpoints have taken the room that it asked for resumes with what is left of it, and not with less."""
    trained = Trained(qwen2, tmp_path / "t", save_steps=1, epochs=2.0, keep_best="last", listener=stop_after(4))
    disk.free = KEEP_FREE
    needed = refusal(trained).parameters["needed"]
    disk.free = needed
    with pytest.raises(Stopped):
        trained.run()
    occupied = size_of(Path(trained.spec.checkpoints))
    assert occupied > 100_000
    trained.events.clear()
    disk.free = needed - occupied - 1
    assert refusal(trained).parameters["needed"] == needed - occupied
    disk.free = needed - occupied
    assert trained.run().artifact.facts["steps"] == 6


GPU = Device(kind="cuda", name="a GPU", dtype=torch.bfloat16)


def filled(monkeypatch: pytest.MonkeyPatch, free: int) -> None:
    """A GPU of 24 GiB of which other processes have left so many bytes."""
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _device: (free, 24 << 30))


def test_a_gpu_that_others_fill_is_refused(qwen2: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where other processes have left too little for any model, a training ends by name before a row is read."""
    filled(monkeypatch, 700 << 20)
    monkeypatch.setattr(train_module, "choose_device", lambda _wanted, _emit: GPU)
    trained = Trained(qwen2, tmp_path / "t", **SHORT)
    refused = refusal(trained)
    assert (refused.code, refused.exit_code) == ("gpu_full", ExitCode.NO_ROOM)
    assert refused.parameters == {"used": (24 << 30) - (700 << 20), "free": 700 << 20, "total": 24 << 30}
    assert trained.of(Started) == []


@pytest.mark.parametrize(("free", "codes"), [(23 << 30, ["gpu_shared"]), (2 << 30, ["gpu_shared"]), ((24 << 30) - (500 << 20), [])])
def test_a_gpu_that_others_use_is_told(monkeypatch: pytest.MonkeyPatch, free: int, codes: list[str]) -> None:
    """What other processes hold of a GPU is told; the little that its driver takes is not."""
    filled(monkeypatch, free)
    events = list[Event]()
    consider_gpu_memory(GPU, events.append)
    assert [event.code for event in events if isinstance(event, Notice)] == codes
    assert all(event.parameters["free"] == free for event in events if isinstance(event, Notice))


def test_a_processor_has_no_gpu_to_share(cpu: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    """On the CPU nobody asks for a GPU's memory."""
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _device: pytest.fail("asked"))
    consider_gpu_memory(cpu, lambda event: pytest.fail(str(event)))
