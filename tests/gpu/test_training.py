"""Training on a GPU: packed gradients, the fused layer, the paged optimizer, and a whole run with its resumption."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch

from appliance.domain.event import Metric, Notice, Progress
from appliance.domain.recipe import TrainingRecipe
from appliance.domain.spec import TrainSpec
from appliance.stages.language_model.batches import make_batch
from appliance.stages.language_model.device import Device
from appliance.stages.language_model.loading import checkpoint_activations, family_in, load_base, load_tokenizer
from appliance.stages.language_model.loss import summed_loss
from appliance.stages.language_model.tokenized_rows import TokenizedRows, tokenize_rows
from appliance.stages.train import run
from appliance.stages.train.methods import new_learner
from appliance.stages.train.methods.learner import Preparation
from appliance.stages.train.optimizer import new_optimizer
from tests.stages.language_model.tiny import facts, write_rows

pytestmark = pytest.mark.gpu

RECIPE = TrainingRecipe(rank=8, alpha=16, dropout=0.0, learning_rate=0.01)


def learner_on(base: Path, gpu: Device, recipe: TrainingRecipe = RECIPE) -> Any:
    """An NF4 base with an adapter whose B matrices are not zero."""
    learner = new_learner(Preparation(load_base(base, gpu, quantize=True), family_in(base), recipe))
    generator = torch.Generator().manual_seed(2)
    for name, parameter in learner.model.named_parameters():
        if "lora_B" in name:
            parameter.data = (torch.randn(parameter.shape, generator=generator) * 0.05).to(parameter)
    return learner


def rows_of(base: Path, folder: Path) -> TokenizedRows:
    """Rows of many lengths."""
    return tokenize_rows(write_rows(folder / "rows.jsonl", facts(24)), load_tokenizer(base), 512, lambda _event: None)


def gradients(learner: Any, rows: TokenizedRows, gpu: Device, groups: list[list[int]], *, packed: bool) -> tuple[float, torch.Tensor]:
    """Summed loss and gradients over groups of rows, one after the other."""
    total = 0.0
    for group in groups:
        with gpu.arithmetic():
            loss = summed_loss(learner.language_model, make_batch(rows, group, packed=packed).to(gpu.torch_device))
        loss.backward()
        total += loss.item()
    found = torch.cat([parameter.grad.flatten().double().cpu() for parameter in learner.trained])
    for parameter in learner.trained:
        parameter.grad = None
    return total, found


@pytest.mark.parametrize("checkpointing", [False, True], ids=["kept", "recomputed"])
def test_packed_gradients_are_unpadded_ones(base: Path, gpu: Device, tmp_path: Path, checkpointing: bool) -> None:
    """In bfloat16 the gradients of one pack are those of its rows one by one through transformers' own attention, within 2 %."""
    learner, rows = learner_on(base, gpu), rows_of(base, tmp_path)
    if checkpointing:
        checkpoint_activations(learner.language_model)
    everything = list(range(len(rows)))
    loss, packed = gradients(learner, rows, gpu, [everything], packed=True)
    learner.language_model.set_attn_implementation("sdpa")
    expected_loss, expected = gradients(learner, rows, gpu, [[row] for row in everything], packed=False)
    assert loss == pytest.approx(expected_loss, rel=5e-3)
    assert ((packed - expected).norm() / expected.norm()).item() <= 2e-2


def test_fused_layer_is_peft(base: Path, gpu: Device, tmp_path: Path) -> None:
    """The fused low-rank layer gives peft's own gradients on a GPU."""
    learner, rows = learner_on(base, gpu), rows_of(base, tmp_path)
    fused = gradients(learner, rows, gpu, [[0, 1, 2, 3]], packed=True)
    removed = [module.__dict__.pop("forward") for module in learner.model.modules() if hasattr(module, "lora_A")]
    assert removed
    plain = gradients(learner, rows, gpu, [[0, 1, 2, 3]], packed=True)
    assert fused[0] == pytest.approx(plain[0], rel=5e-3)
    assert ((fused[1] - plain[1]).norm() / plain[1].norm()).item() <= 2e-2


def test_dropout_can_be_done_again(base: Path, gpu: Device, tmp_path: Path) -> None:
    """The same seed drops the same values, recomputed or not, and another seed others."""
    learner = learner_on(base, gpu, msgspec.structs.replace(RECIPE, dropout=0.2))
    rows = rows_of(base, tmp_path)

    def seeded(seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        return gradients(learner, rows, gpu, [[0, 1, 2, 3]], packed=True)[1]

    kept = seeded(1)
    checkpoint_activations(learner.language_model)
    assert ((seeded(1) - kept).norm() / kept.norm()).item() <= 1e-2
    assert ((seeded(2) - kept).norm() / kept.norm()).item() > 1e-2


def test_paged_optimizer_learns_and_is_saved(base: Path, gpu: Device, tmp_path: Path) -> None:
    """The 8-bit optimizer with paged state lowers the loss, and goes on from what was saved of it as if nothing had happened."""
    rows = rows_of(base, tmp_path)

    def steps(learner: Any, optimizer: Any, count: int) -> list[float]:
        losses = []
        for _ in range(count):
            with gpu.arithmetic():
                loss = summed_loss(learner.language_model, make_batch(rows, [0, 1, 2, 3], packed=True).to(gpu.torch_device)) / 100
            loss.backward()
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            losses.append(loss.item())
        return losses

    learner = learner_on(base, gpu)
    optimizer = new_optimizer(learner.parameter_groups(), gpu, RECIPE)
    if gpu.kind == "cuda":
        assert type(optimizer).__name__ == "PagedAdamW8bit"
    before = steps(learner, optimizer, 6)
    assert before[-1] < before[0]
    torch.save(optimizer.state_dict(), tmp_path / "optimizer.pt")
    learner.save_weights(tmp_path)
    after = steps(learner, optimizer, 3)
    again = learner_on(base, gpu)
    again.load_weights(tmp_path)
    resumed = new_optimizer(again.parameter_groups(), gpu, RECIPE)
    resumed.load_state_dict(torch.load(tmp_path / "optimizer.pt", map_location=gpu.torch_device, weights_only=True))
    assert steps(again, resumed, 3) == pytest.approx(after, rel=1e-2)


def test_a_run_and_its_resumption(base: Path, gpu: Device, tmp_path: Path) -> None:
    """A whole QLoRA run learns, says what it needs of the GPU, and one that is broken off ends like one that is not."""

    class Broken(Exception):
        pass

    def spec(name: str) -> TrainSpec:
        rows = write_rows(tmp_path / "train.jsonl", facts(24))
        recipe = msgspec.structs.replace(RECIPE, batch_size=8, epochs=6.0, save_steps=4)
        paths: dict[str, Any] = {
            "output": str(tmp_path / name),
            "checkpoints": str(tmp_path / f"{name}-checkpoints"),
            "cache": str(tmp_path / "cache"),
        }
        return TrainSpec(base=str(base), train_rows=str(rows), validation_rows="", recipe=recipe, device=gpu.kind, **paths)

    def losses(name: str) -> list[float]:
        story = msgspec.json.decode((tmp_path / name / "training.json").read_bytes())
        return [step["loss"] for step in story["history"]["steps"]]

    events: list[Any] = []
    run(spec("whole"), events.append)
    whole = losses("whole")
    assert whole[-1] < whole[0] - 0.5
    if gpu.kind == "cuda":
        assert {"gpu_memory", "gpu_memory_peak"} <= {event.name for event in events if isinstance(event, Metric)}

    def until_step_nine(event: Any) -> None:
        if isinstance(event, Progress) and event.done == 9:
            raise Broken

    with pytest.raises(Broken):
        run(spec("broken"), until_step_nine)
    told: list[Any] = []
    run(spec("broken"), told.append)
    assert any(isinstance(event, Notice) and event.code == "training_resumed" and event.parameters["step"] == 8 for event in told)
    assert losses("broken") == pytest.approx(whole, rel=2e-2)
