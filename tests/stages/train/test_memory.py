"""Memory that runs out in the middle of a step: the same step again in smaller pieces."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from appliance.domain.errors import ApplianceError, ExitCode
from appliance.domain.event import Notice
from appliance.processes.stopping import Stopped
from appliance.stages.language_model.loss import mean_loss, summed_loss
from appliance.stages.train import gradients, loop
from appliance.stages.train.gradients import halved
from appliance.stages.train.methods.learner import Learner
from tests.stages.train.training import Trained

# Eight rows in one micro-batch, so that a step can be halved; without dropout, so that halving changes nothing but rounding.
SETTINGS: dict[str, Any] = {"micro_batch_size": 8, "epochs": 2.0, "dropout": 0.0}


def run_out(monkeypatch: pytest.MonkeyPatch, when: Callable[[int], bool], where: str = "backward") -> list[int]:
    """Have passes fail as a full GPU makes them fail: from inside the backward pass, when half of the gradients are there.

    Gives the list of the rows of every pass.
    """
    passes: list[int] = []

    def failing(_gradient: torch.Tensor) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    def watched(model: Any, batch: Any) -> torch.Tensor:
        passes.append(batch.tokens)
        loss = summed_loss(model, batch)
        if when(len(passes)):
            if where == "forward":
                failing(loss)
            # The first block's weights get their gradients last: nearly all others are there by then.
            trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
            handles.append(trained[1].register_hook(failing))
        return loss

    handles: list[Any] = []
    once = gradients.forget_attempt

    def forget(*arguments: Any) -> None:
        while handles:
            handles.pop().remove()
        once(*arguments)

    monkeypatch.setattr(gradients, "summed_loss", watched)
    monkeypatch.setattr(loop, "forget_attempt", forget)
    return passes


@pytest.fixture(scope="module")
def unbroken(qwen2: Path, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """The run to which memory never ran out."""
    return Trained(qwen2, tmp_path_factory.mktemp("unbroken"), **SETTINGS).run()


def halvings(trained: Trained) -> list[dict[str, Any]]:
    """What was said of each halving."""
    return [notice.parameters for notice in trained.of(Notice) if notice.code == "micro_batch_halved"]


def assert_same_training(trained: Trained, unbroken: Trained) -> None:
    """The same rows and tokens in every step, and losses and norms equal within rounding."""
    ours, theirs = trained.history.steps, unbroken.history.steps
    assert [record.trained_tokens for record in ours] == [record.trained_tokens for record in theirs]
    assert [record.loss for record in ours] == pytest.approx([record.loss for record in theirs], rel=1e-4)
    assert [record.grad_norm for record in ours] == pytest.approx([record.grad_norm for record in theirs], rel=1e-3)


@pytest.mark.parametrize("where", ["forward", "backward"])
def test_step_is_taken_again_in_halves(qwen2: Path, tmp_path: Path, unbroken: Trained, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    """Where memory runs out, in either pass, the step and all later ones go through in halves, which is said, and the curve stays."""
    passes = run_out(monkeypatch, lambda count: count == 3, where)
    trained = Trained(qwen2, tmp_path / "t", **SETTINGS).run()
    assert halvings(trained) == [{"step": 3, "before": 8, "after": 4}]
    assert len(passes) == 2 + 1 + 2 * 4
    assert_same_training(trained, unbroken)


def test_twice_at_most(qwen2: Path, tmp_path: Path, unbroken: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second time is survived as well; a third one ends with the name of what is missing."""
    run_out(monkeypatch, lambda count: count in (1, 3))
    trained = Trained(qwen2, tmp_path / "twice", **SETTINGS).run()
    assert [told["after"] for told in halvings(trained)] == [4, 2]
    assert_same_training(trained, unbroken)
    run_out(monkeypatch, lambda _count: True)
    trained = Trained(qwen2, tmp_path / "again", **SETTINGS)
    with pytest.raises(ApplianceError, match="out_of_memory_gpu") as caught:
        trained.run()
    assert caught.value.exit_code is ExitCode.NO_ROOM
    assert len(halvings(trained)) == 2


def test_single_row_cannot_be_halved(qwen2: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where each row goes through by itself already, there is nothing to try again."""
    passes = run_out(monkeypatch, lambda count: count == 1)
    trained = Trained(qwen2, tmp_path / "t", **SETTINGS | {"batch_size": 1})
    with pytest.raises(ApplianceError, match="out_of_memory_gpu"):
        trained.run()
    assert (len(passes), halvings(trained)) == (1, [])


def test_resumed_run_stays_halved(qwen2: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was halved stays so after a resume, so that the run ends as it would have without the stop."""
    results = []
    for stops in (False, True):
        run_out(monkeypatch, lambda count: count == 2)
        steps = iter([Stopped] if stops else [])
        trained = Trained(qwen2, tmp_path / str(stops), **SETTINGS | {"dropout": 0.1})
        with monkeypatch.context() as patch:
            if stops:
                patch.setattr(Learner, "begin_step", _stop_at(4, steps))
                with pytest.raises(Stopped):
                    trained.run()
            monkeypatch.setattr(gradients, "summed_loss", summed_loss) if stops else None
            results.append(trained.run().history.steps)
    assert results[0] == results[1]


def _stop_at(number: int, errors: Iterator[type[BaseException]]) -> Callable[[Learner, int, int], None]:
    def begin_step(_learner: Learner, step: int, _total: int) -> None:
        if step == number:
            for error in errors:
                raise error

    return begin_step


def test_validation_runs_out_of_memory(qwen2: Path, tmp_path: Path, unbroken: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    """A validation that needs too much is done again in halves, too."""
    waiting = [torch.OutOfMemoryError("CUDA out of memory.")]

    def short(*arguments: Any, **options: Any) -> Any:
        if waiting:
            raise waiting.pop()
        return mean_loss(*arguments, **options)

    monkeypatch.setattr(gradients, "mean_loss", short)
    trained = Trained(qwen2, tmp_path / "t", **SETTINGS).run()
    assert not waiting
    assert len(halvings(trained)) == 1
    losses, expected = ([record.loss for record in run.history.validations] for run in (trained, unbroken))
    assert losses == pytest.approx(expected, rel=1e-4)


def test_other_errors_are_not_tried_again(qwen2: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error that is not of memory is what it is, at once."""

    def broken(*_arguments: Any) -> torch.Tensor:
        raise RuntimeError("shapes do not match")

    monkeypatch.setattr(gradients, "summed_loss", broken)
    trained = Trained(qwen2, tmp_path / "t", **SETTINGS)
    with pytest.raises(RuntimeError, match="shapes"):
        trained.run()
    assert halvings(trained) == []


def test_halves_have_the_same_rows() -> None:
    """Every row is there once, in pieces of about the same size; single rows stay as they are."""
    step = [[9, 8, 7, 6, 5], [4]]
    assert halved(step, 0) == step
    assert halved(step, 1) == [[9, 7, 5], [8, 6], [4]]
    assert halved(step, 5) == [[9], [5], [7], [8], [6], [4]]
