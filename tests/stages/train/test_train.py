"""Training as a whole: it learns, publishes what peft loads, counts and tells, and fails with a name."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file

from appliance.domain.errors import ApplianceError, ExitCode
from appliance.domain.event import Metric, Notice, Progress, Started
from appliance.files.checksum import folder_manifest, manifest_sha256
from appliance.stages.language_model.device import Device
from appliance.stages.language_model.loading import load_base, load_model, load_tokenizer
from appliance.stages.language_model.loss import mean_loss
from appliance.stages.language_model.tokenized_rows import tokenize_rows
from tests.stages.language_model.tiny import conversation, write_rows
from tests.stages.train.training import Trained


@pytest.fixture(scope="module")
def trained(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """One training of each family."""
    return Trained(base, tmp_path_factory.mktemp("trained"), epochs=8.0).run()


def test_loss_falls(trained: Trained) -> None:
    """Training and validation loss fall."""
    history = trained.history
    assert history.steps[-1].loss < history.steps[0].loss - 0.2
    assert [record.step for record in history.validations] == list(range(3, 25, 3))
    assert history.validations[-1].loss < history.validations[0].loss


def test_peft_loads_the_adapter(trained: Trained, base: Path, cpu: Device) -> None:
    """The published folder loads with peft onto a fresh base and predicts as the trained model did."""
    model = PeftModel.from_pretrained(load_base(base, cpu, quantize=True), trained.spec.output)
    rows = tokenize_rows(Path(trained.spec.validation_rows), load_tokenizer(base), 1024, lambda _event: None)
    assert mean_loss(model.get_base_model(), rows, cpu).value == pytest.approx(trained.history.validations[-1].loss, rel=1e-6)


def test_loaded_for_examination_it_is_the_same(trained: Trained, base: Path, cpu: Device) -> None:
    """The way in which an examination loads the adapter gives the same loss."""
    model = load_model(base, Path(trained.spec.output), cpu, quantize=True, emit=lambda _event: None)
    rows = tokenize_rows(Path(trained.spec.validation_rows), load_tokenizer(base), 1024, lambda _event: None)
    assert mean_loss(model, rows, cpu).value == pytest.approx(trained.history.validations[-1].loss, rel=1e-6)


def test_folder_brings_its_words(trained: Trained, base: Path) -> None:
    """Beside the adapter lie the base's tokenizer files and the story of the training; nothing half-written is left."""
    folder = Path(trained.spec.output)
    names = {path.name for path in folder.iterdir()}
    assert {"adapter_config.json", "adapter_model.safetensors", "tokenizer.json", "tokenizer_config.json", "training.json"} <= names
    assert (folder / "tokenizer.json").read_bytes() == (base / "tokenizer.json").read_bytes()
    assert json.loads((folder / "adapter_config.json").read_text())["target_modules"] == sorted(
        ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    )
    assert not list(folder.parent.rglob("*.partial"))


def test_artifact_describes_the_folder(trained: Trained) -> None:
    """Checksum, size and facts are those of what lies there."""
    artifact, history = trained.artifact, trained.history
    assert artifact.sha256 == manifest_sha256(folder_manifest(Path(trained.spec.output)))
    assert artifact.size == sum(path.stat().st_size for path in Path(trained.spec.output).iterdir())
    facts = artifact.facts
    assert (facts["steps"], facts["epochs"], facts["rows"], facts["rows_left_out"]) == (24, 8.0, 24, 0)
    assert facts["tokens"] == sum(record.tokens for record in history.steps)
    assert facts["loss_curve"] == [pytest.approx(record.loss, abs=1e-5) for record in history.steps]
    assert facts["validation_loss"] == history.validations[-1].loss
    assert facts["best_validation_loss"] == min(record.loss for record in history.validations)
    assert 0 < facts["trainable_share"] < 1
    assert (facts["device"], facts["compute_dtype"]) == ("CPU", "float32")
    json.dumps(facts, allow_nan=False)


def test_story_is_told(trained: Trained) -> None:
    """The parts are announced in order, every step is progress, and measurements come with their names."""
    parts = [event.what for event in trained.of(Started)]
    assert parts == ["tokenize", "tokenize", "load_base", "training"]
    assert trained.of(Started)[-1].total == 24
    assert [event.done for event in trained.of(Progress)][-25:] == list(range(25))
    assert {event.name for event in trained.of(Metric)} == {
        "loss", "learning_rate", "grad_norm", "tokens_per_second", "trained_tokens_per_second", "memory", "validation_loss",
    }  # fmt: skip
    assert all(math.isfinite(event.value) for event in trained.of(Metric))


def test_same_seed_same_bytes(qwen2: Path, tmp_path: Path) -> None:
    """The same recipe trains the same adapter, byte for byte; another seed another one."""
    weights = []
    for name, seed in (("a", 17), ("b", 17), ("c", 18)):
        trained = Trained(qwen2, tmp_path / name, epochs=1.0, seed=seed).run()
        weights.append((Path(trained.spec.output) / "adapter_model.safetensors").read_bytes())
    assert weights[0] == weights[1] != weights[2]


def test_accumulation_changes_nothing(qwen2: Path, tmp_path: Path) -> None:
    """A batch in one piece and in micro-batches is the same step: every trained token weighs the same."""
    curves = []
    for micro in (8, 3, 1):
        trained = Trained(qwen2, tmp_path / str(micro), epochs=2.0, dropout=0.0, micro_batch_size=micro).run()
        curves.append([record.loss for record in trained.history.steps])
    assert curves[1] == pytest.approx(curves[0], rel=1e-4)
    assert curves[2] == pytest.approx(curves[0], rel=1e-4)


def test_long_rows_are_told(qwen2: Path, tmp_path: Path) -> None:
    """Rows that are too long are counted, told and not trained."""
    trained = Trained(qwen2, tmp_path / "t", epochs=1.0, max_length=48)
    rows = [conversation("问", "答"), conversation("问", "答" * 200), conversation("问", "好")]
    write_rows(Path(trained.spec.train_rows), rows)
    facts = trained.run().artifact.facts
    assert (facts["rows"], facts["rows_left_out"]) == (2, 1)
    told = {"too_long": 1, "untrained": 0, "rows": 3, "max_length": 48}
    assert Notice("warning", "rows_left_out", told) in trained.events


def test_validation_is_optional(qwen2: Path, tmp_path: Path) -> None:
    """Without validation rows there is no validation loss, and training goes its way."""
    trained = Trained(qwen2, tmp_path / "t", epochs=1.0)
    Path(trained.spec.validation_rows).write_bytes(b"")
    facts = trained.run().artifact.facts
    assert (facts["validation_loss"], facts["best_validation_loss"]) == (None, None)


def test_nothing_to_train_is_named(qwen2: Path, tmp_path: Path) -> None:
    """When no row is left, nothing is loaded and nothing is written."""
    trained = Trained(qwen2, tmp_path / "t", max_length=16)
    with pytest.raises(ApplianceError, match="nothing_to_train"):
        trained.run()
    assert not Path(trained.spec.output).exists()


def test_infinite_loss_stops(qwen2: Path, tmp_path: Path) -> None:
    """A base with broken weights stops at the first step with a name, before anything is spoiled or written."""
    folder = tmp_path / "base"
    folder.mkdir()
    for path in qwen2.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    tensors = load_file(folder / "model.safetensors")
    tensors["model.norm.weight"][:] = torch.nan
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    trained = Trained(folder, tmp_path / "t")
    with pytest.raises(ApplianceError, match="loss_not_finite") as caught:
        trained.run()
    assert (caught.value.exit_code, caught.value.parameters["step"]) == (ExitCode.RUN_FAILED, 1)
    assert not Path(trained.spec.output).exists()


def test_loss_of_zero_stops(qwen2: Path, tmp_path: Path) -> None:
    """A base that knows every answer with certainty stops with a name: a loss of exactly zero is never learning."""
    folder = tmp_path / "base"
    folder.mkdir()
    for path in qwen2.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    tensors = load_file(folder / "model.safetensors")
    tokenizer = load_tokenizer(folder)
    answer = tokenizer.convert_tokens_to_ids("<|im_end|>")
    # Whatever the model reads, the head is sure of the end of turn; the rows' answers are empty.
    tensors["model.norm.weight"][:] = 0
    tensors["model.norm.weight"][0] = 1
    tensors["lm_head.weight"][:] = 0
    tensors["lm_head.weight"][answer, 0] = 3e4
    tensors["model.embed_tokens.weight"][:, 0] = 10
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    trained = Trained(folder, tmp_path / "t")
    write_rows(Path(trained.spec.train_rows), [conversation("问", "")] * 8)
    with pytest.raises(ApplianceError, match="loss_is_zero"):
        trained.run()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_demanded_gpu_is_missing(qwen2: Path, tmp_path: Path) -> None:
    """A demanded GPU that is not there ends the stage before anything is read."""
    trained = Trained(qwen2, tmp_path / "t")
    trained.spec = type(trained.spec)(**{name: getattr(trained.spec, name) for name in trained.spec.__struct_fields__} | {"device": "cuda"})
    with pytest.raises(ApplianceError, match="gpu_missing"):
        trained.run()


def test_full_disk_is_named(qwen2: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that fills while the adapter is written is named, and nothing half-written is left."""

    def full(*_arguments: object, **_keywords: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("appliance.stages.train.published.shutil.copyfile", full)
    trained = Trained(qwen2, tmp_path / "t", epochs=1.0)
    with pytest.raises(ApplianceError, match="disk_full"):
        trained.run()
    assert not list((tmp_path / "t").glob("adapter*"))
