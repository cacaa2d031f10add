"""What is said of a loss curve: each illness by its name, once, and nothing of a healthy one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from appliance.domain.conversation import Conversation
from appliance.domain.errors import ApplianceError
from appliance.domain.event import Notice
from appliance.stages.language_model.device import choose_device
from appliance.stages.language_model.loading import load_model, load_tokenizer
from appliance.stages.language_model.loss import mean_loss
from appliance.stages.language_model.tokenized_rows import tokenize_rows
from appliance.stages.train.diagnosis import Doctor
from appliance.stages.train.early_stopping import has_stopped_improving
from appliance.stages.train.history import History, StepRecord, ValidationRecord
from tests.stages.language_model.tiny import conversation, write_rows
from tests.stages.train.training import Trained

DEMO = Path(__file__).parents[3] / "appliance" / "demo"

DIAGNOSES = {"overfitting", "training_diverging", "gradients_exploding", "learning_rate_vanishing"}


def step(number: int, loss: float, norm: float = 1.0) -> StepRecord:
    """One step."""
    return StepRecord(number, loss, 1e-3, norm, 100, 50)


def said(losses: list[float], norms: list[float] | None = None, validations: dict[int, float] | None = None) -> list[str]:
    """Codes of all that is said of a curve, in order."""
    doctor, codes = Doctor(max_grad_norm=1.0), list[str]()
    for number, loss in enumerate(losses, 1):
        norm = norms[number - 1] if norms else 1.0
        codes += [notice.code for notice in doctor.after_step(step(number, loss, norm))]
        if validations and number in validations:
            codes += [notice.code for notice in doctor.after_validation(ValidationRecord(number, validations[number]))]
    return codes


def diagnoses(trained: Trained) -> set[str]:
    """The diagnoses that a run was given."""
    return {notice.code for notice in trained.of(Notice)} & DIAGNOSES


FALLING = [3.0 * 0.97**number for number in range(60)]


def test_healthy_curve() -> None:
    """A curve that falls with validation losses that fall is given no diagnosis, nor is a plateau, nor is noise."""
    assert said(FALLING, validations={20: 2.0, 40: 1.5, 60: 1.4}) == []
    assert said([1.2] * 300, validations=dict.fromkeys(range(50, 301, 50), 1.3)) == []
    assert said([1.0 + (number % 7 == 0) * 2.5 for number in range(200)]) == []


def test_overfitting_is_told_once_and_again_after_a_new_best() -> None:
    """Validation that rises twice while training falls is told once; if it does better than ever afterwards, it can be told again."""
    up = {10: 2.0, 20: 2.2, 30: 2.4, 40: 2.6, 50: 2.8}
    assert said(FALLING, validations=up) == ["overfitting"]
    assert said(FALLING, validations={10: 2.0, 20: 2.2, 30: 2.4, 40: 1.9, 50: 2.2, 60: 2.4}) == ["overfitting", "overfitting"]


@pytest.mark.parametrize(
    "validations",
    [{10: 2.0, 20: 2.01, 30: 2.02}, {10: 2.0, 20: 2.3, 30: 2.2}, {10: 2.0, 20: 2.4}],
    ids=["hardly", "up and down", "once"],
)
def test_ups_and_downs_are_not_overfitting(validations: dict[int, float]) -> None:
    """A validation loss that rises by a hair, or once, or comes down again, is no overfitting."""
    assert said(FALLING, validations=validations) == []


def test_rising_training_loss_is_not_overfitting() -> None:
    """Where training rises as well, it is something else."""
    assert said([1.0 + 0.01 * number for number in range(60)], validations={20: 1.2, 40: 1.5, 60: 1.7}) == []


def test_divergence_is_told_then_ends_the_run() -> None:
    """A loss far above its best is told; when it stays there and is worse than at the start, training ends with a name."""
    assert said([2.0] * 20 + [3.9] * 100) == []
    assert said([3.0] * 3 + [1.0] * 20 + [2.5] * 100) == ["training_diverging"]
    with pytest.raises(ApplianceError, match="training_diverged") as caught:
        said([3.0] * 3 + [1.0] * 20 + [9.0] * 30)
    assert caught.value.parameters == {"step": 53, "loss": 9.0, "best": 1.0}


def test_large_gradients_are_told() -> None:
    """Gradients ten times the usual are told once, unless they are small in any case."""
    assert said([1.0] * 100, [0.5] * 50 + [8.0] * 50) == ["gradients_exploding"]
    assert said([1.0] * 100, [0.01] * 50 + [0.5] * 50) == []
    assert said([1.0] * 100, [20.0] * 10 + [0.5] * 40 + [20.0] * 3 + [0.5] * 47) == []


@pytest.mark.parametrize("cut", [7, 23, 40])
def test_resumed_doctor_is_the_same(cut: int) -> None:
    """A doctor that is shown the history says afterwards what the first one would have said, and repeats nothing."""
    losses = [3.0] * 3 + [1.0] * 30 + [2.6] * 40
    validations = {10: 1.0, 20: 1.2, 30: 1.5}
    whole = said(losses, validations=validations)
    before = said(losses[:cut], validations=validations)
    doctor = Doctor(1.0)
    records = [step(number, loss) for number, loss in enumerate(losses, 1)]
    kept = [ValidationRecord(number, loss) for number, loss in validations.items() if number <= cut]
    doctor.recall(History(records[:cut], kept))
    after = list[str]()
    for record in records[cut:]:
        after += [notice.code for notice in doctor.after_step(record)]
        if record.step in validations:
            after += [notice.code for notice in doctor.after_validation(ValidationRecord(record.step, validations[record.step]))]
    assert before + after == whole


@pytest.mark.parametrize(
    ("losses", "patience", "min_delta", "over"),
    [
        ([], 1, 0.0, False),
        ([2.0, 1.9, 1.95], 0, 0.0, False),
        ([2.0, 1.9, 1.95], 1, 0.0, True),
        ([2.0, 1.9, 1.95], 2, 0.0, False),
        ([2.0, 1.9, 1.95, 1.9], 2, 0.0, True),
        ([2.0, 1.9, 1.95, 1.89], 2, 0.0, False),
        ([2.0, 1.99, 1.98, 1.97], 2, 0.05, True),
        ([2.0, 1.97, 1.94, 1.91], 2, 0.05, False),
    ],
)
def test_patience(losses: list[float], patience: int, min_delta: float, over: bool) -> None:
    """Training is over after as many validations as the patience without an improvement that counts; a slow one adds up."""
    records = [ValidationRecord(number, loss) for number, loss in enumerate(losses, 1)]
    assert has_stopped_improving(records, patience, min_delta) is over


EIGHT_ROWS: dict[str, Any] = {"learning_rate": 0.01, "epochs": 12.0, "dropout": 0.0, "rank": 16, "alpha": 32, "eval_steps": 2}


@pytest.fixture(scope="module")
def records() -> list[Conversation]:
    """What the demonstration's base can learn."""
    rows = [json.loads(line) for line in (DEMO / "records.jsonl").read_bytes().splitlines()[:80]]
    return [conversation(row["instruction"], row["output"]) for row in rows]


def training(folder: Path, rows: list[Conversation], validation: list[Conversation], **recipe: Any) -> Trained:
    """A training of the demonstration's base, which is small but knows its language."""
    trained = Trained(DEMO / "base", folder, **recipe)
    write_rows(Path(trained.spec.train_rows), rows)
    write_rows(Path(trained.spec.validation_rows), validation)
    return trained


def test_few_rows_often_are_overfitted(records: list[Conversation], tmp_path: Path) -> None:
    """Eight rows seen again and again: overfitting is named, and the best weights are published, not the last."""
    trained = training(tmp_path / "t", records[:8], records[60:70], **EIGHT_ROWS).run()
    assert diagnoses(trained) == {"overfitting"}
    facts = trained.artifact.facts
    assert facts["published_step"] == facts["best_step"] < facts["steps"] == 12
    assert facts["validation_loss"] == facts["best_validation_loss"] == min(record.loss for record in trained.history.validations)
    template = load_tokenizer(DEMO / "base")
    rows = tokenize_rows(Path(trained.spec.validation_rows), template, 1024, lambda _event: None)
    device = choose_device("cpu", lambda _event: None)
    model = load_model(DEMO / "base", Path(trained.spec.output), device, quantize=True, emit=lambda _event: None)
    assert mean_loss(model, rows, device).value == pytest.approx(facts["validation_loss"], rel=1e-5)


def test_last_weights_on_demand(records: list[Conversation], tmp_path: Path) -> None:
    """Whoever wants the last weights gets them, and nothing is kept beside the checkpoints."""
    trained = training(tmp_path / "t", records[:8], records[60:70], **EIGHT_ROWS, keep_best="last", save_steps=4).run()
    facts = trained.artifact.facts
    assert facts["best_step"] < facts["published_step"] == 12
    assert facts["validation_loss"] == trained.history.validations[-1].loss > facts["best_validation_loss"]
    assert sorted(path.name for path in Path(trained.spec.checkpoints).iterdir()) == ["step-00000008", "step-00000012"]


def test_early_stopping(records: list[Conversation], tmp_path: Path) -> None:
    """With patience, the same training ends when validation no longer improves, and says so."""
    trained = training(tmp_path / "t", records[:8], records[60:70], **EIGHT_ROWS, early_stopping_patience=2).run()
    facts = trained.artifact.facts
    assert facts["stopped_early"] is True
    assert facts["steps"] == facts["best_step"] + 4 < 12
    (told,) = [notice for notice in trained.of(Notice) if notice.code == "stopped_early"]
    best = {"best_step": facts["best_step"], "best_loss": facts["best_validation_loss"]}
    assert told.parameters == {"step": facts["steps"], "total": 12, **best}


def test_huge_rate_diverges(records: list[Conversation], tmp_path: Path) -> None:
    """Steps that are much too large end with a name, and nothing is published."""
    trained = training(tmp_path / "t", records[:48], [], learning_rate=0.3, epochs=15.0, max_grad_norm=100.0)
    with pytest.raises(ApplianceError, match="training_diverged"):
        trained.run()
    assert "training_diverging" in diagnoses(trained)
    assert not Path(trained.spec.output).exists()


def test_vanishing_rate_is_told(records: list[Conversation], tmp_path: Path) -> None:
    """A rate at which nothing is learned is told before it costs time; the plateau that follows is not called an illness."""
    trained = training(tmp_path / "t", records[:16], records[60:70], learning_rate=1e-9, epochs=12.0, dropout=0.0).run()
    assert diagnoses(trained) == {"learning_rate_vanishing"}
    losses = [record.loss for record in trained.history.validations]
    assert max(losses) - min(losses) < 1e-4
