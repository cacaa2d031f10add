"""Loading a base: only what is sound, as NF4 where asked, and training is right also after an evaluation."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from bitsandbytes.nn.modules import Linear4bit

from appliance.domain.errors import ApplianceError
from appliance.domain.recipe import TrainingRecipe
from appliance.stages.language_model.batches import Batch, make_batch
from appliance.stages.language_model.device import Device
from appliance.stages.language_model.loading import (
    checkpoint_activations,
    family_in,
    load_base,
    load_model,
    load_tokenizer,
    parameter_counts,
)
from appliance.stages.language_model.loss import mean_loss, summed_loss
from appliance.stages.language_model.tokenized_rows import TokenizedRows, tokenize_rows
from appliance.stages.train.methods import new_learner
from appliance.stages.train.methods.learner import Preparation
from tests.stages.language_model.tiny import facts, write_rows


@pytest.fixture
def rows(base: Path, tmp_path: Path) -> TokenizedRows:
    """A few tokenized rows."""
    return tokenize_rows(write_rows(tmp_path / "rows.jsonl", facts(6)), load_tokenizer(base), 512, lambda _event: None)


def gradients(model: Any, batch: Batch) -> list[torch.Tensor]:
    """Gradients of all trained parameters on a batch."""
    model.zero_grad()
    torch.manual_seed(1)
    summed_loss(model.get_base_model(), batch).backward()
    return [parameter.grad.clone() for parameter in model.parameters() if parameter.grad is not None]


def adapted(base: Path, cpu: Device, every: int = 0, **choices: Any) -> Any:
    """A base with an adapter whose B matrices are not zero, so that all gradients are alive."""
    recipe = TrainingRecipe(rank=4, alpha=8, **choices)
    bare = load_base(base, cpu, quantize=True)
    model = new_learner(Preparation(bare, family_in(base), recipe)).model
    if every:
        checkpoint_activations(bare, every)
    torch.manual_seed(2)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            parameter.data = torch.randn_like(parameter) * 0.05
    return model


@pytest.mark.parametrize("every", [0, 1, 2])
def test_evaluation_leaves_gradients_alone(base: Path, cpu: Device, rows: TokenizedRows, every: int) -> None:
    """Gradients after an evaluation are bit for bit those before it, with biases (Qwen2) and without (Llama)."""
    model = adapted(base, cpu, every)
    batch = make_batch(rows, [0, 1, 2])
    before = gradients(model, batch)
    mean_loss(model.get_base_model(), rows, cpu)
    with torch.inference_mode():
        model.eval()(input_ids=batch.ids)
    model.train()
    after = gradients(model, batch)
    assert len(before) == sum(parameter.requires_grad for parameter in model.parameters())
    assert all(torch.equal(first, second) for first, second in zip(before, after, strict=True))


def test_recomputing_changes_no_gradient(base: Path, cpu: Device, rows: TokenizedRows) -> None:
    """Whether no, every second or each block recomputes: the gradients are the same bit for bit, dropout included."""
    batch = make_batch(rows, [0, 3])
    kept, half, all_ = (gradients(adapted(base, cpu, every), batch) for every in (0, 2, 1))
    for recomputed in (half, all_):
        assert all(torch.equal(first, second) for first, second in zip(kept, recomputed, strict=True))


@pytest.mark.parametrize(("every", "recomputing"), [(1, [True, True]), (2, [True, False])])
def test_every_nth_block_recomputes(base: Path, cpu: Device, every: int, recomputing: list[bool]) -> None:
    """The first block recomputes and then one in so many, with any version of transformers."""
    model = load_base(base, cpu, quantize=False)
    checkpoint_activations(model, every)
    assert [block.gradient_checkpointing for block in model.model.layers] == recomputing


def test_all_linear_layers_are_nf4(base: Path, cpu: Device) -> None:
    """Every linear layer of a block is NF4 with double quantization and stays in its layout; embedding and head are not touched."""
    model = load_base(base, cpu, quantize=True)
    linear = {name: module for name, module in model.named_modules() if isinstance(module, Linear4bit)}
    assert {name.rsplit(".", 1)[-1] for name in linear} == set(family_in(base).linear_modules)
    for module in linear.values():
        assert (module.weight.quant_state.quant_type, module.weight.quant_state.nested) == ("nf4", True)
        assert not module.support_avx512bf16_for_cpu
    assert type(model.get_output_embeddings()) is torch.nn.Linear
    assert not any(parameter.requires_grad for parameter in model.parameters())


def test_four_bit_weights_are_counted_whole(base: Path, cpu: Device) -> None:
    """Parameter counts are those of the base, however its weights are stored."""
    plain, quantized = (load_base(base, cpu, quantize=flag) for flag in (False, True))
    assert parameter_counts(quantized) == parameter_counts(plain) == (0, plain.num_parameters())


def test_pickles_are_refused(qwen2: Path, cpu: Device, tmp_path: Path) -> None:
    """A folder with a pickle in it is not loaded, although its safetensors are sound."""
    folder = tmp_path / "base"
    shutil.copytree(qwen2, folder)
    (folder / "pytorch_model.bin").write_bytes(b"\x80\x04N.")
    with pytest.raises(ApplianceError, match="base_refused"):
        load_base(folder, cpu, quantize=False)


def test_remote_code_is_refused(qwen2: Path, cpu: Device, tmp_path: Path) -> None:
    """A config that names code to run is not loaded."""
    folder = tmp_path / "base"
    shutil.copytree(qwen2, folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"auto_map": {"AutoModelForCausalLM": "evil.Model"}}))
    with pytest.raises(ApplianceError, match="base_refused"):
        load_base(folder, cpu, quantize=False)


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff\xfe", b'{"version": "1.0", "model": {"type": "Evil"}}'])
def test_broken_tokenizer_is_named(qwen2: Path, tmp_path: Path, content: bytes) -> None:
    """A tokenizer that cannot be read is one sentence, not a traceback."""
    folder = tmp_path / "base"
    shutil.copytree(qwen2, folder)
    (folder / "tokenizer.json").write_bytes(content)
    with pytest.raises(ApplianceError, match="tokenizer_unreadable"):
        load_tokenizer(folder)


def test_saved_truncation_does_not_cut(qwen2: Path, tmp_path: Path) -> None:
    """A tokenizer file that was saved with truncation and padding cuts and fills nothing."""
    folder = tmp_path / "base"
    shutil.copytree(qwen2, folder)
    saved = json.loads((folder / "tokenizer.json").read_text("utf-8"))
    saved["truncation"] = {"direction": "Right", "max_length": 3, "strategy": "LongestFirst", "stride": 0}
    (folder / "tokenizer.json").write_text(json.dumps(saved), "utf-8")
    assert len(load_tokenizer(folder).backend_tokenizer.encode("交叉口信号相位绿波带早高峰 12345").ids) > 3


def test_adapter_as_pickle_is_refused(qwen2: Path, cpu: Device, tmp_path: Path) -> None:
    """An adapter folder without safetensors is refused, although peft would take its pickle."""
    (tmp_path / "adapter_config.json").write_text("{}")
    (tmp_path / "adapter_model.bin").write_bytes(b"\x80\x04N.")
    with pytest.raises(ApplianceError, match="adapter_file_missing"):
        load_model(qwen2, tmp_path, cpu, quantize=False, emit=lambda _event: None)
