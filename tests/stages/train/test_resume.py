"""Stopping at any moment and going on: the resumed run is the unbroken one."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch
from bitsandbytes.optim.adamw import AdamW8bit

from appliance.domain.errors import ApplianceError
from appliance.domain.event import Emit, Event, Notice, Progress
from appliance.processes import stopping
from appliance.processes.stopping import Stopped
from appliance.stages.language_model.device import Device
from appliance.stages.language_model.loss import summed_loss
from appliance.stages.train import gradients, identity, loop
from appliance.stages.train.methods.learner import AdapterLearner
from appliance.stages.train.optimizer import optimizer_kind
from tests.stages.language_model.tiny import facts, write_rows
from tests.stages.train.training import Trained

SETTINGS: dict[str, Any] = {"save_steps": 4, "epochs": 4.0, "micro_batch_size": 3, "dropout": 0.1, "checkpointing": "all"}


@pytest.fixture
def _worker_signals() -> Iterator[None]:
    """SIGTERM as a worker has it, put back afterwards."""
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    stopping.install()
    yield
    signal.signal(signal.SIGTERM, before[0])
    signal.signal(signal.SIGINT, before[1])


@pytest.fixture(scope="module")
def unbroken(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """A run that nobody disturbs."""
    return Trained(base, tmp_path_factory.mktemp("unbroken"), **SETTINGS).run()


def assert_same(resumed: Trained, unbroken: Trained) -> None:
    """Every step's loss, norm and rate, every validation and every byte of the adapter are equal."""
    ours, theirs = resumed.history, unbroken.history
    assert ours.steps == theirs.steps
    assert ours.validations == theirs.validations
    name = "adapter_model.safetensors"
    assert (Path(resumed.spec.output) / name).read_bytes() == (Path(unbroken.spec.output) / name).read_bytes()


def stop_after(step: int) -> Emit:
    """A listener that ends the stage once, when a step is done, as SIGTERM does between two of them."""
    waiting = [step]

    def listener(event: Event) -> None:
        # The progress of tokenizing is told in bytes, which are more than there are steps.
        if isinstance(event, Progress) and event.done in waiting:
            waiting.clear()
            raise Stopped

    return listener


def checkpoints(trained: Trained) -> list[str]:
    """Names of the checkpoints, without the weights that are kept beside them, and of whatever does not belong there."""
    return sorted(path.name for path in Path(trained.spec.checkpoints).iterdir() if not path.name.startswith("best-"))


@pytest.mark.parametrize("step", [1, 4, 7, 11])
def test_resumed_run_is_the_unbroken_one(base: Path, tmp_path: Path, unbroken: Trained, step: int) -> None:
    """A run that was stopped after any step goes on from there to the very same result."""
    trained = Trained(base, tmp_path / "t", listener=stop_after(step), **SETTINGS)
    with pytest.raises(Stopped):
        trained.run()
    assert checkpoints(trained)[-1] == f"step-{step:08d}"
    assert_same(trained.run(), unbroken)
    assert Notice("info", "training_resumed", {"step": step, "total": 12}) in trained.events


@pytest.mark.usefixtures("_worker_signals")
@pytest.mark.parametrize("way", ["forward", "backward"])
def test_sigterm_inside_a_step_saves_the_last_one(
    base: Path, tmp_path: Path, unbroken: Trained, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """SIGTERM in the middle of a forward or backward pass abandons that step, saves the one before, and loses nothing."""
    calls = [0]

    def terminate(*_gradient: torch.Tensor) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    def interrupted(*arguments: Any) -> torch.Tensor:
        calls[0] += 1
        loss = summed_loss(*arguments)
        if calls[0] == 6:  # all rows of a step fit into one pack
            if way == "backward":
                loss.register_hook(terminate)
            else:
                terminate()
        return loss

    monkeypatch.setattr(gradients, "summed_loss", interrupted)
    trained = Trained(base, tmp_path / "t", **SETTINGS)
    with pytest.raises(Stopped):
        trained.run()
    assert checkpoints(trained) == ["step-00000004", "step-00000005"]
    stopping.install()
    assert_same(trained.run(), unbroken)


@pytest.mark.usefixtures("_worker_signals")
def test_sigterm_while_saving_waits(base: Path, tmp_path: Path, unbroken: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    """SIGTERM in the middle of a checkpoint's writing lets it become whole before the stage leaves."""

    save_weights = AdapterLearner.save_weights

    def interrupted(learner: AdapterLearner, folder: Path) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        save_weights(learner, folder)

    monkeypatch.setattr(AdapterLearner, "save_weights", interrupted)
    trained = Trained(base, tmp_path / "t", **SETTINGS)
    with pytest.raises(Stopped):
        trained.run()
    monkeypatch.setattr(AdapterLearner, "save_weights", save_weights)
    assert checkpoints(trained) == ["step-00000003"]  # it came while the best weights of the first validation were written
    stopping.install()
    assert_same(trained.run(), unbroken)


def test_damaged_checkpoint_is_told_and_the_one_before_taken(base: Path, tmp_path: Path, unbroken: Trained) -> None:
    """When the newest checkpoint is damaged, the run goes on from the one before, to the same result."""
    trained = Trained(base, tmp_path / "t", listener=stop_after(9), **SETTINGS)
    with pytest.raises(Stopped):
        trained.run()
    (Path(trained.spec.checkpoints) / "step-00000009" / loop.OPTIMIZER_FILE).write_bytes(b"damaged")
    assert_same(trained.run(), unbroken)
    assert Notice("warning", "checkpoint_broken", {"name": "step-00000009"}) in trained.events
    assert Notice("info", "training_resumed", {"step": 8, "total": 12}) in trained.events


def test_stop_before_the_first_step_leaves_nothing(base: Path, tmp_path: Path) -> None:
    """A run that is stopped before its first step has nothing to save and saves nothing."""
    trained = Trained(base, tmp_path / "t", listener=stop_after(0), **SETTINGS)
    with pytest.raises(Stopped):
        trained.run()
    assert not Path(trained.spec.checkpoints).exists()


def test_other_rows_are_not_resumed(qwen2: Path, tmp_path: Path) -> None:
    """A checkpoint is refused when the rows have changed since."""
    trained = Trained(qwen2, tmp_path / "t", listener=stop_after(2), **SETTINGS)
    with pytest.raises(Stopped):
        trained.run()
    write_rows(Path(trained.spec.train_rows), facts(20))
    with pytest.raises(ApplianceError, match="checkpoint_of_other_training"):
        trained.run()


def test_other_general_rows_are_not_resumed(qwen2: Path, tmp_path: Path) -> None:
    """A checkpoint is refused when the general rows have changed, whose loss was measured before the first step."""
    trained = Trained(qwen2, tmp_path / "t", listener=stop_after(2), **SETTINGS)
    general = write_rows(tmp_path / "general.jsonl", facts(4))
    trained.spec = msgspec.structs.replace(trained.spec, general_rows=str(general))
    with pytest.raises(Stopped):
        trained.run()
    write_rows(general, facts(5))
    with pytest.raises(ApplianceError, match="checkpoint_of_other_training"):
        trained.run()
    write_rows(general, facts(4))
    assert trained.run().artifact.facts["steps"] == 12


def test_another_optimizer_is_not_resumed(qwen2: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkpoint made on the CPU is refused where the GPU's optimizer would have to go on from it."""
    trained = Trained(qwen2, tmp_path / "t", listener=stop_after(2), **SETTINGS)
    with pytest.raises(Stopped):
        trained.run()
    with monkeypatch.context() as patch:
        patch.setattr(identity, "optimizer_kind", lambda _device: optimizer_kind(Device(kind="cuda", name="", dtype=torch.bfloat16)))
        with pytest.raises(ApplianceError, match="checkpoint_of_other_training"):
            trained.run()
    assert trained.run().artifact.facts["steps"] == 12


def test_eight_bit_optimizer_comes_back(tmp_path: Path) -> None:
    """The state of the GPU's optimizer survives a checkpoint bit for bit (its unpaged sister, which also runs on the CPU)."""
    results = []
    for breaks in (False, True):
        torch.manual_seed(3)
        weight = torch.nn.Parameter(torch.randn(64, 128))
        optimizer: Any = AdamW8bit([weight], lr=0.01)
        for step in range(6):
            if breaks and step == 3:
                torch.save(optimizer.state_dict(), tmp_path / "optimizer.pt")
                optimizer = AdamW8bit([weight], lr=0.01)
                optimizer.load_state_dict(torch.load(tmp_path / "optimizer.pt", weights_only=True))
            weight.grad = torch.sin(weight.detach() * (step + 1))
            optimizer.step()
        results.append(weight.detach().clone())
    assert torch.equal(results[0], results[1])
