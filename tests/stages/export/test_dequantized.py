"""Merging into the weights that a QLoRA training saw: bitsandbytes' own numbers, whatever the blocks they are read in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from bitsandbytes.functional import dequantize_4bit, quantize_4bit
from numpy.typing import NDArray
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from appliance.domain.recipe import ExportRecipe
from appliance.stages.export.dequantized import double_quantized, largest_of_blocks, opened_base, rounded_to_nf4
from appliance.stages.export.plan import read_base
from appliance.stages.language_model.device import Device
from appliance.stages.language_model.loading import load_base
from tests.stages.export.adapters import logits_of
from tests.stages.export.conftest import Export
from tests.stages.export.tiny_base import make_adapter, make_base

SHAPE: dict[str, Any] = {"hidden_size": 128, "intermediate_size": 192, "dtype": torch.float32}


def bitsandbytes_own(weights: NDArray[np.float32]) -> NDArray[np.float32]:
    """There and back by the library."""
    packed, state = quantize_4bit(torch.from_numpy(weights.copy()), blocksize=64, compress_statistics=True, quant_type="nf4")
    found: NDArray[np.float32] = dequantize_4bit(packed, state).numpy()
    return found


@pytest.mark.parametrize(("rows", "columns", "scale"), [(512, 896, 0.02), (3, 64, 1.0), (64, 4864, 1e-30), (1000, 128, 1e4)])
def test_numbers_are_bitsandbytes_own(rows: int, columns: int, scale: float) -> None:
    """Every bit, for any scale, with values on the bounds, whole blocks of zeros and of one value."""
    chance = np.random.default_rng(rows)
    weights = (chance.standard_normal((rows, columns)) * scale).astype(np.float32)
    weights[0] = 0
    weights[1] = scale
    weights[2, :16] = np.linspace(-1, 1, 16) * scale
    expected = bitsandbytes_own(weights)
    scales = double_quantized(largest_of_blocks(weights.reshape(-1)))
    assert np.array_equal(rounded_to_nf4(weights.reshape(-1), scales).reshape(rows, columns), expected)


def test_rows_are_the_same_in_whatever_pieces_they_are_read(tmp_path: Path) -> None:
    """Blocks that go on from row to row are kept whole; scales are forgotten after the last row and found again."""
    base = read_base(make_base(tmp_path / "base", hidden_size=96, intermediate_size=160, dtype=torch.float32))
    tensor = base.tensors["model.layers.0.mlp.down_proj.weight"]
    whole = None
    with opened_base(base.tensors, [tensor]) as reader:
        for size in (96, 1, 7, 32):
            pieces = [reader.rows(tensor, start, min(start + size, 96)) for start in range(0, 96, size)]
            found = np.concatenate(pieces)
            whole = found if whole is None else whole
            assert np.array_equal(found, whole)
    assert 1e-3 < np.abs(whole - load_file(tensor.path)["model.layers.0.mlp.down_proj.weight"].numpy()).max() < 0.05


@pytest.mark.parametrize("kind", [{}, {"use_dora": True}, {"modules_to_save": ["lm_head"], "target_modules": ["q_proj"]}])
def test_merged_model_is_the_one_that_was_trained(export: Export, tmp_path: Path, kind: dict[str, Any]) -> None:
    """Logits of the merged folder equal those of the 4-bit base with its adapter; embedding, head and norms are as they were."""
    base = make_base(tmp_path / "base", **SHAPE)
    adapter = make_adapter(tmp_path / "adapter", base, **kind)
    device = Device("cpu", "cpu", torch.float32)
    trained: Any = PeftModel.from_pretrained(load_base(base, device, quantize=True), str(adapter))
    expected = logits_of(trained.eval())
    close: dict[str, float] = {}
    for into in ("dequantized", "original"):
        recipe = ExportRecipe(merge_into=into)
        merged = export(base, adapter, form="merged", output=tmp_path / into, recipe=recipe)
        assert merged.facts["merged_into"] == into
        model = AutoModelForCausalLM.from_pretrained(merged.path, dtype=torch.float32)
        close[into] = float((logits_of(model) - expected).abs().max() / expected.abs().max())
    assert close["dequantized"] <= 1e-5
    assert close["original"] > 1e-2


@pytest.mark.parametrize(("wanted", "trained_on_4_bits", "used"), [("auto", True, "dequantized"), ("auto", False, "original")])
def test_auto_takes_what_the_adapter_was_trained_on(
    export: Export, tmp_path: Path, wanted: Any, trained_on_4_bits: bool, used: str
) -> None:
    """The specification says which; an export of the base alone never rounds anything."""
    base = make_base(tmp_path / "base", **SHAPE)
    adapter = make_adapter(tmp_path / "adapter", base)
    recipe = ExportRecipe(type="q8_0", merge_into=wanted)
    facts = export(base, adapter, recipe=recipe, quantized_base=trained_on_4_bits, check=False).facts
    assert facts["merged_into"] == used
    plain = export(base, recipe=ExportRecipe(type="f16", merge_into="dequantized"), check=False)
    assert plain.sha256 == export(base, recipe=ExportRecipe(type="f16"), check=False).sha256
    assert "merged_into" not in plain.facts
