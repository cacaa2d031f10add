"""The plan before a training: what the formula says is what torch keeps, and what does not fit is refused before anything is loaded."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
import torch

from appliance.domain.disk import HISTORY_BYTES
from appliance.domain.errors import ApplianceError, ExitCode
from appliance.domain.event import Event, Notice, Started
from appliance.domain.families.qwen2 import QWEN2
from appliance.domain.memory import Load, Room, kept_per_token, memory_of, shape_of, trained_parameters
from appliance.domain.methods import METHODS
from appliance.domain.plan import RowFacts, Speed, TrainingPlan, plan_training
from appliance.domain.recipe import TrainingRecipe
from appliance.domain.spec import EstimateSpec, MixedRows
from appliance.files.base_screening import read_json_object
from appliance.files.checksum import size_of
from appliance.files.space import KEEP_FREE
from appliance.stages import estimate
from appliance.stages.language_model.device import Device
from appliance.stages.language_model.loading import family_in, load_base, load_tokenizer
from appliance.stages.language_model.tokenized_rows import tokenize_rows
from appliance.stages.train import __name__ as train_module
from appliance.stages.train.checkpoints import CheckpointStore
from appliance.stages.train.methods import new_learner
from appliance.stages.train.methods.learner import Preparation
from appliance.stages.train.planning import row_facts
from tests.domain.test_memory import SHAPE
from tests.stages.export.tiny_base import make_base
from tests.stages.language_model.tiny import conversation, facts, write_rows
from tests.stages.train.training import Trained

WIDE: dict[str, Any] = {"hidden_size": 128, "intermediate_size": 320, "num_hidden_layers": 4}


def room(kind: Any = "cpu", *, half: bool = False, free: int = 1 << 40) -> Room:
    """A place with so much room."""
    return Room(kind=kind, name=kind, free=free, total=1 << 40, half_precision=half)


def kept_bytes(base: Path, recipe: TrainingRecipe, device: Device, tokens: int) -> int:
    """Bytes of all tensors that torch keeps for the backward pass of a base's blocks, weights aside."""
    learner = new_learner(Preparation(load_base(base, device, quantize=METHODS[recipe.method].quantizes_base), family_in(base), recipe))
    weights = {parameter.untyped_storage().data_ptr() for parameter in learner.model.parameters()}
    kept: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor), device.arithmetic():
        alive = learner.language_model.model(input_ids=torch.arange(tokens)[None] % 300, use_cache=False).last_hidden_state
    assert alive.requires_grad
    return sum(kept.values())


@pytest.mark.parametrize("family", ["qwen2", "llama"])
@pytest.mark.parametrize("choices", [{}, {"dropout": 0.0}, {"targets": "attention"}, {"method": "lora"}, {"method": "full"}])
def test_activations_are_what_torch_keeps(tmp_path: Path, cpu: Device, family: str, choices: dict[str, Any]) -> None:
    """The formula for the activations of a block is within 10 % of the tensors that are really kept."""
    base = make_base(tmp_path / "base", family, **WIDE)
    recipe, shape = TrainingRecipe(rank=4, alpha=8, **choices), shape_of(family_in(base), read_json_object(base / "config.json"))
    found = kept_bytes(base, recipe, cpu, 512)
    expected = 512 * shape.blocks * kept_per_token(shape, family_in(base), recipe, room())
    assert expected == pytest.approx(found, rel=0.1)


@pytest.mark.parametrize("method", METHODS)
def test_trained_parameters_are_counted_right(qwen2: Path, cpu: Device, method: Any) -> None:
    """The plan's number of trained parameters is that of the model that is trained."""
    recipe, family = TrainingRecipe(rank=4, alpha=8, method=method), family_in(qwen2)
    learner = new_learner(Preparation(load_base(qwen2, cpu, quantize=METHODS[method].quantizes_base), family, recipe))
    shape = shape_of(family, read_json_object(qwen2 / "config.json"))
    assert trained_parameters(shape, family, recipe) == sum(parameter.numel() for parameter in learner.trained)


def test_weights_are_what_is_loaded(tmp_path: Path, cpu: Device) -> None:
    """NF4 with its scales, embedding, head and norms: the plan's weights are the bytes of the loaded base."""
    base = make_base(tmp_path / "base", "llama", **WIDE)
    family = family_in(base)
    shape = shape_of(family, read_json_object(base / "config.json"))
    load = Load(tokens=64, trained=32, longest=64)
    memory = memory_of(shape, family, TrainingRecipe(), room(), load, 0)
    state = load_base(base, cpu, quantize=True).state_dict()
    tables = [name for name in state if "quant_map" in name or "quant_state" in name]  # the same 16 and 256 numbers for every layer
    found = sum(tensor.nbytes for name, tensor in state.items() if name not in tables)
    assert memory.weights + memory.embeddings == pytest.approx(found, rel=0.02)


def test_largest_micro_batch_is_found(qwen2: Path, tmp_path: Path) -> None:
    """The plan looks at the packs that training will really form, and at padded rows with their padding."""
    rows = tokenize_rows(write_rows(tmp_path / "rows.jsonl", facts(40)), load_tokenizer(qwen2), 512, lambda _event: None)
    packed = row_facts(rows, TrainingRecipe(max_length=64, micro_batch_size=2, batch_size=8))
    padded = row_facts(rows, TrainingRecipe(max_length=64, micro_batch_size=2, batch_size=8, packing=False))
    longest = int(rows.lengths().max())
    assert longest <= packed.load.tokens <= max(128, longest)
    assert padded.load.tokens == 2 * longest
    assert (packed.steps, packed.rows, sum(count for _, count in packed.histogram)) == (15, 40, 40)


def test_too_little_memory_is_refused_before_loading(qwen2: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A training that does not fit ends with 4 and a recipe that would fit, or says that none does; the base is not loaded."""
    for free, code in ((1 << 20, "training_never_fits"), (620_000_000, "training_does_not_fit")):
        monkeypatch.setattr(f"{train_module}.room_of", lambda _device, free=free: room(free=free))
        trained = Trained(qwen2, tmp_path / code, checkpointing="none", micro_batch_size=64, batch_size=64, max_length=512, rows=200)
        with pytest.raises(ApplianceError, match=code) as refused:
            trained.run()
        assert refused.value.exit_code == ExitCode.NO_ROOM
        assert "load_base" not in [event.what for event in trained.of(Started)]


def test_figures_stay_with_the_run(qwen2: Path, tmp_path: Path) -> None:
    """What was planned is told and stored with the result."""
    trained = Trained(qwen2, tmp_path / "t", max_steps=1).run()
    (told,) = [event for event in trained.of(Notice) if event.code == "plan_made"]
    assert trained.artifact.facts["planned_memory"] == told.parameters["memory"] > 0
    assert trained.artifact.facts["blocks_recomputed"] == 0


def test_estimate_tells_a_whole_plan(qwen2: Path, tmp_path: Path) -> None:
    """The stage measures every method on one block and tells memory, disk, steps and time."""
    events: list[Event] = []
    rows = write_rows(tmp_path / "rows.jsonl", facts(30))
    recipe = TrainingRecipe(rank=4, alpha=8, max_length=256)
    estimate.run(EstimateSpec(base=str(qwen2), rows=str(rows), share=0.5, recipe=recipe, device="cpu", compare=True), events.append)
    (told,) = [event for event in events if isinstance(event, Notice) and event.code == "plan_ready"]
    plan = msgspec.convert(told.parameters, TrainingPlan)
    assert plan.fits and plan.nearest == {}
    assert [cost.method for cost in plan.methods] == list(METHODS)
    assert all(cost.seconds and cost.tokens_per_second for cost in plan.methods)
    assert plan.rows.steps == 3  # of 15 rows
    assert plan.seconds is not None and plan.seconds > 0


def write_pairs(path: Path, count: int) -> Path:
    """Preference rows whose worse answers are longer than the better ones."""
    pairs = [msgspec.structs.replace(row, rejected=f"不是，{row.messages[-1].content}") for row in facts(count)]
    return write_rows(path, pairs)


def planned(base: Path, recipe: TrainingRecipe, rows: Path, **choices: Any) -> TrainingPlan:
    """What the stage ``estimate`` tells of a training on the processor."""
    events: list[Event] = []
    spec = EstimateSpec(base=str(base), rows=str(rows), recipe=recipe, device="cpu", **{"calibrate": False} | choices)
    estimate.run(spec, events.append)
    (told,) = [event for event in events if isinstance(event, Notice) and event.code == "plan_ready"]
    return msgspec.convert(told.parameters, TrainingPlan)


@pytest.mark.parametrize("method", ["qlora", "full"])
def test_disk_is_what_is_written(qwen2: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: Any) -> None:
    """Checkpoints with the best weights beside them take what was planned at their most, histories aside, and so does the result."""
    most = 0
    drop = CheckpointStore._drop_old

    def dropped(store: CheckpointStore) -> None:
        nonlocal most
        most = max(most, size_of(tmp_path / "t" / "checkpoints"))
        drop(store)

    monkeypatch.setattr(CheckpointStore, "_drop_old", dropped)
    trained = Trained(qwen2, tmp_path / "t", method=method, rank=32, max_steps=8, save_steps=1, eval_steps=1, learning_rate=0.001).run()
    plan = planned(qwen2, trained.spec.recipe, Path(trained.spec.train_rows), validation_rows=trained.spec.validation_rows)
    weights = plan.checkpoint_bytes - (trained.spec.recipe.keep_checkpoints + 1) * HISTORY_BYTES
    assert 0.75 * weights < most < min(1.15 * weights, plan.checkpoint_bytes)
    names = {"qlora": "adapter_model.safetensors", "full": "model.safetensors"}
    assert plan.result_bytes - HISTORY_BYTES == pytest.approx(size_of(Path(trained.spec.output) / names[method]), rel=0.1)


def test_a_run_demands_the_disk_that_was_planned(qwen2: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With as many bytes free as the plan told a training begins; with fewer it is refused."""
    trained = Trained(qwen2, tmp_path / "t", max_steps=1)
    plan = planned(qwen2, trained.spec.recipe, Path(trained.spec.train_rows), validation_rows=trained.spec.validation_rows)
    free = plan.checkpoint_bytes + plan.result_bytes + KEEP_FREE
    monkeypatch.setattr("appliance.files.space.shutil.disk_usage", lambda _place: SimpleNamespace(free=free - 1))
    with pytest.raises(ApplianceError, match="disk_too_small"):
        trained.run()
    monkeypatch.setattr("appliance.files.space.shutil.disk_usage", lambda _place: SimpleNamespace(free=free))
    trained.run()


def test_pairs_are_planned_with_both_answers(qwen2: Path, tmp_path: Path) -> None:
    """A preference training is planned with the tokens that its steps take, and with the time of the base's say; full does not come in."""
    rows = write_pairs(tmp_path / "pairs.jsonl", 24)
    recipe = TrainingRecipe(rank=4, alpha=8, max_length=256, objective="preferences", batch_size=8, epochs=1.0)
    trained = Trained(qwen2, tmp_path / "t")
    trained.spec = msgspec.structs.replace(trained.spec, train_rows=str(rows), validation_rows="", recipe=recipe)
    taken = trained.run().history.steps
    plan = planned(qwen2, recipe, rows, calibrate=True, compare=True)
    assert plan.rows.steps == len(taken) == 3
    assert plan.rows.tokens == sum(step.tokens for step in taken)
    assert plan.rows.trained_tokens == sum(step.trained_tokens for step in taken)
    assert plan.rows.load.tokens <= recipe.micro_batch_size * recipe.max_length
    assert plan.rows.longest < plan.rows.load.tokens
    assert {cost.method for cost in plan.methods} == set(METHODS) - {"full"}
    with pytest.raises(ApplianceError, match="reference_missing"):
        planned(qwen2, msgspec.structs.replace(recipe, method="full"), rows)


def test_the_base_is_asked_of_every_pair() -> None:
    """With preferences every token goes through the base once more than with answers, there and not back."""
    facts_of_rows: dict[str, Any] = {"rows": 8, "too_long": 0, "untrained": 0, "longest": 50, "histogram": (), "steps": 10, "tokens": 400}
    rows = RowFacts(trained_tokens=200, tokens_per_step=400, load=Load(tokens=400, trained=200, longest=50), **facts_of_rows)
    speed = Speed(method="qlora", forward=1.0, backward=2.0, head=4.0)
    told = {
        objective: plan_training(SHAPE, QWEN2, TrainingRecipe(objective=objective, checkpointing="none"), room(), rows, (speed,)).seconds
        for objective in ("answers", "preferences")
    }
    answers, preferences = 4000 * (SHAPE.blocks * 3.0 + 0.5 * 4.0), 4000 * (SHAPE.blocks * 1.0 + 0.5 * 2.0)
    assert told == {"answers": pytest.approx(answers), "preferences": pytest.approx(answers + preferences)}


def test_what_is_mixed_in_is_planned(qwen2: Path, tmp_path: Path) -> None:
    """Steps and tokens are those that the training takes, however long the rows that are mixed in are; what it looks at counts, too."""
    recipe = TrainingRecipe(rank=4, alpha=8, max_length=512, batch_size=8, epochs=4.0)
    long = [conversation("说", f"{number}路口" * 40) for number in range(40)]
    other = write_rows(tmp_path / "long.jsonl", long)
    trained = Trained(qwen2, tmp_path / "t", rows=30)
    beside: dict[str, Any] = {"mixed": (MixedRows(name="long", rows=str(other), share=0.25),), "general_rows": str(other)}
    beside |= {"validation_rows": trained.spec.validation_rows}
    trained.spec = msgspec.structs.replace(trained.spec, recipe=recipe, **beside)
    history = trained.run().history
    plan = planned(qwen2, recipe, Path(trained.spec.train_rows), **beside)
    assert (plan.rows.steps, plan.rows.rows) == (len(history.steps), 40) == (20, 40)
    taken = sum(step.tokens for step in history.steps)
    assert plan.rows.steps * plan.rows.tokens_per_step == pytest.approx(taken, rel=0.01)
    tokenizer = load_tokenizer(qwen2)
    paths = (Path(beside[name]) for name in ("validation_rows", "general_rows"))
    held_out, general = (tokenize_rows(path, tokenizer, 512, lambda _event: None) for path in paths)
    looked_at = len(history.validations) * held_out.tokens + len(history.general) * general.tokens
    assert plan.rows.examined_tokens == looked_at > 0


def test_terms_are_planned(qwen2: Path, tmp_path: Path) -> None:
    """Words that become tokens make rows shorter and are trained numbers; a method that trains no such rows is not compared."""
    trained = Trained(qwen2, tmp_path / "t", max_steps=1)
    trained.spec = msgspec.structs.replace(trained.spec, terms=("路口", "信号"))
    rows, recipe = Path(trained.spec.train_rows), trained.spec.recipe
    plan = planned(qwen2, recipe, rows, terms=trained.spec.terms, compare=True)
    assert plan.trained == trained.run().artifact.facts["trainable_parameters"]
    assert plan.rows.tokens < planned(qwen2, recipe, rows).rows.tokens
    assert {cost.method for cost in plan.methods} == {"qlora", "lora", "dora", "rslora", "lora_plus", "full"}
