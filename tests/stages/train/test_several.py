"""Two processes train one model together as ``accelerate launch`` starts them: the result is that of one process."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch
from safetensors.torch import load_file

from appliance.domain.errors import ApplianceError
from appliance.domain.event import Event, Failed, Metric, Notice, Produced, Started, from_line
from appliance.domain.spec import MixedRows, TrainSpec
from appliance.running.launching import ONLY_THIS_MACHINE, worker_command
from appliance.stages.train.group import Group
from tests.stages.export.tiny_base import make_base
from tests.stages.language_model.tiny import facts, write_rows
from tests.stages.train.test_preferences import pairs, write
from tests.stages.train.training import Trained

ROOT = Path(__file__).parents[3]
SETTINGS: dict[str, Any] = {"micro_batch_size": 2, "max_length": 96, "epochs": 3.0, "dropout": 0.0, "save_steps": 4}
KINDS: dict[str, dict[str, Any]] = {
    "lora": {"method": "lora"},
    "dora": {"method": "dora"},
    "rslora": {"method": "rslora"},
    "lora_plus": {"method": "lora_plus", "learning_rate": 0.002},
    "ia3": {"method": "ia3", "learning_rate": 0.1},
    "preferences": {"objective": "preferences", "learning_rate": 0.003},
    "terms": {},
    "general": {},
}
"""What else is trained in a group."""
MARKS = {"dora": "lora_magnitude_vector", "ia3": "ia3_l", "terms": "trainable_tokens_delta"}
"""Part of a tensor's name that shows that it was this kind of training."""


def prepare(trained: Trained, kind: str) -> None:
    """Give a training the rows of its kind."""
    spec = trained.spec
    if kind == "preferences":
        write(Path(spec.train_rows), pairs(24))
        write(Path(spec.validation_rows), pairs(30)[24:])
    elif kind == "terms":
        trained.spec = msgspec.structs.replace(spec, terms=("号路口", "早高峰", "信号相位差"))
    elif kind == "general":
        general = write_rows(Path(spec.train_rows).with_name("general.jsonl"), facts(40)[30:])
        mixed = MixedRows(name="general", rows=str(general), share=0.2)
        trained.spec = msgspec.structs.replace(spec, general_rows=str(general), mixed=(mixed,))


class Together:
    """A training in two processes; ``events`` are those that a conductor would read."""

    def __init__(self, base: Path, folder: Path, **recipe: Any) -> None:
        self.trained = Trained(base, folder, **SETTINGS | {"processes": 2} | recipe)
        self.spec: TrainSpec = self.trained.spec
        self.events: list[Event] = []
        self._file = folder / "spec.json"
        self._log = folder / "log"

    def start(self) -> subprocess.Popen[bytes]:
        """The command of a conductor."""
        self._file.write_bytes(msgspec.json.encode(self.spec))
        command = worker_command("appliance.running.worker", "train", msgspec.to_builtins(self.spec), self._file)
        environment = {**os.environ, **ONLY_THIS_MACHINE, "PYTHONPATH": str(ROOT)}
        with self._log.open("ab") as log:
            return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, env=environment, start_new_session=True)

    def run(self, *, stop_at: int = 0) -> int:
        """Follow it to its end; with ``stop_at`` it is asked to leave once it has told that step. Gives the exit status."""
        process = self.start()
        assert process.stdout is not None
        with process:
            for line in process.stdout:
                event = from_line(line)
                self.events.append(event)
                if stop_at and isinstance(event, Metric) and event.step >= stop_at:
                    process.send_signal(signal.SIGTERM)
                    stop_at = 0
            return process.wait(120)

    def log(self) -> str:
        """What the libraries said."""
        return self._log.read_text("utf-8", "replace")[-3000:]

    def losses(self) -> list[float]:
        """Of every step."""
        return [step.loss for step in self.trained.history.steps]


@pytest.fixture(scope="module", params=["qwen2", "llama"])
def base(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base with biases and a tied head, and one without."""
    return make_base(tmp_path_factory.mktemp("base") / "base", request.param, tie_word_embeddings=request.param == "qwen2")


@pytest.fixture(scope="module")
def tied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base whose head is its embedding."""
    return make_base(tmp_path_factory.mktemp("tied") / "base", "qwen2", tie_word_embeddings=True)


@pytest.mark.slow
@pytest.mark.parametrize("checkpointing", ["none", "all"])
def test_two_processes_train_what_one_trains(base: Path, tmp_path: Path, checkpointing: str) -> None:
    """Losses, validations and the adapter are those of one process with the same batch; one process tells and publishes."""
    alone = Trained(base, tmp_path / "alone", **SETTINGS, checkpointing=checkpointing).run()
    together = Together(base, tmp_path / "together", checkpointing=checkpointing)
    assert together.run() == 0, together.log()
    assert together.losses() == pytest.approx([step.loss for step in alone.history.steps], rel=1e-4)
    ours, theirs = together.trained.history.validations, alone.history.validations
    assert [look.loss for look in ours] == pytest.approx([look.loss for look in theirs], rel=1e-4)
    assert [step.trained_tokens for step in together.trained.history.steps] == [step.trained_tokens for step in alone.history.steps]
    assert len([event for event in together.events if isinstance(event, Produced)]) == 1
    assert len([event for event in together.events if isinstance(event, Started) and event.what == "training"]) == 1
    made, expected = (load_file(Path(run.spec.output) / "adapter_model.safetensors") for run in (together.trained, alone))
    assert made.keys() == expected.keys()
    for name, tensor in expected.items():
        assert torch.allclose(made[name], tensor, atol=1e-3), name


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_training_is_shared_out(tied: Path, tmp_path: Path, kind: str) -> None:
    """Whatever is learned, and by whatever method: losses and result of two processes are those of one."""
    recipe = KINDS[kind] | {"checkpointing": "all"}
    alone, together = Trained(tied, tmp_path / "alone", **SETTINGS | recipe), Together(tied, tmp_path / "together", **recipe)
    for trained in (alone, together.trained):
        prepare(trained, kind)
    together.spec = together.trained.spec
    alone.run()
    assert together.run() == 0, together.log()
    assert together.losses() == pytest.approx([step.loss for step in alone.history.steps], rel=1e-4)
    for ours, theirs in zip(together.trained.history.validations, alone.history.validations, strict=True):
        assert ours.loss == pytest.approx(theirs.loss, rel=1e-4)
        assert ours.measures == pytest.approx(theirs.measures, rel=1e-3, abs=1e-5)
    made, expected = (load_file(Path(run.spec.output) / "adapter_model.safetensors") for run in (together.trained, alone))
    assert made.keys() == expected.keys()
    assert any(MARKS.get(kind, "lora_A") in name for name in made), made.keys()
    for name, tensor in expected.items():
        assert torch.allclose(made[name], tensor, atol=1e-3), name


@pytest.mark.slow
def test_a_stopped_group_goes_on_where_it_was(qwen2: Path, tmp_path: Path) -> None:
    """SIGTERM to the launcher saves the last step that all have taken; started again, the curve is that of an unbroken run."""
    long = SETTINGS | {"epochs": 30.0, "learning_rate": 0.002, "save_steps": 1000}
    whole, broken = Trained(qwen2, tmp_path / "whole", **long).run(), Together(qwen2, tmp_path / "broken", **long)
    began = time.monotonic()
    assert broken.run(stop_at=2) != 0
    assert time.monotonic() - began < 60
    assert not any(isinstance(event, Produced) for event in broken.events)
    broken.events.clear()
    assert broken.run() == 0, broken.log()
    (resumed,) = [event for event in broken.events if isinstance(event, Notice) and event.code == "training_resumed"]
    assert resumed.parameters["step"] >= 2
    assert broken.losses() == pytest.approx([step.loss for step in whole.history.steps], rel=1e-3)


@pytest.mark.slow
def test_a_group_leaves_in_the_middle_of_a_validation(qwen2: Path, tmp_path: Path) -> None:
    """SIGTERM in a long validation ends it at the next pack, and the step before it is saved."""
    together = Together(qwen2, tmp_path / "t", eval_steps=1, save_steps=1000)
    write_rows(Path(together.spec.validation_rows), facts(4000)[24:])
    assert together.run(stop_at=1) != 0
    assert [event.step for event in together.events if isinstance(event, Metric) and event.name == "loss"] == [1]
    assert not [event for event in together.events if isinstance(event, Metric) and event.name == "validation_loss"], "it had ended before"
    assert [place.name for place in Path(together.spec.checkpoints).iterdir()] == ["step-00000001"]


@pytest.mark.slow
def test_what_cannot_be_shared_out_is_refused(qwen2: Path, tmp_path: Path) -> None:
    """Full fine-tuning is refused by name in the events, and nothing is left."""
    together = Together(qwen2, tmp_path / "t", method="full", learning_rate=0.001)
    assert together.run() != 0
    assert {event.code for event in together.events if isinstance(event, Failed)} == {"method_needs_one_process"}
    assert not Path(together.spec.output).exists()


def test_a_recipe_for_several_needs_several(qwen2: Path, tmp_path: Path) -> None:
    """One process with a recipe for two says so."""
    with pytest.raises(ApplianceError, match="processes_differ"):
        Trained(qwen2, tmp_path / "t", processes=2).run()


def test_every_micro_batch_is_somebodys() -> None:
    """Shares are disjoint and complete, and everybody passes through the model equally often."""
    step = [[number, number + 10] for number in range(7)]
    shares = [Group(rank, 3).share(step) for rank in range(3)]
    assert {len(share) for share in shares} == {3}
    assert sorted(list(rows) for share in shares for rows, counts in share if counts) == step
    assert Group().share(step) == [(rows, 1.0) for rows in step]
