"""Our files against llama.cpp's own tools: the same types and the same bytes."""

from __future__ import annotations

import subprocess
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from gguf import GGUFReader
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.stages.export.type_mix import MIXES, Architecture, Kind, tensor_types
from tests.stages.export.adapters import ADAPTERS, make_kind
from tests.stages.export.conftest import Export
from tests.stages.export.tiny_base import make_base


def llama_quantize(source: Path, target: Path, kind: str, *options: str | Path) -> None:
    """Quantize a GGUF file with llama.cpp's own program."""
    found = find_spec("llama_cpp")
    assert found is not None
    assert found.origin is not None
    program = Path(found.origin).parent / "bin" / "llama-quantize"
    subprocess.run([program, *options, source, target, kind.upper()], check=True, capture_output=True)


def tensors(path: str | Path) -> dict[str, tuple[str, tuple[int, ...], bytes]]:
    """Type, shape and bytes of every tensor."""
    reader = GGUFReader(path)
    return {tensor.name: (tensor.tensor_type.name, tuple(tensor.shape.tolist()), tensor.data.tobytes()) for tensor in reader.tensors}


def assert_equal_to_llama_quantize(export: Export, base: Path, adapter: Path | None, kind: str, folder: Path) -> None:
    """From the same f32 weights both ways give the same tensors, in the same order."""
    full = export(base, adapter, kind="f32", check=False)
    ours = export(base, adapter, kind=kind, check=False)
    reference = folder / "reference.gguf"
    llama_quantize(Path(full.path), reference, kind)
    expected, found = tensors(reference), tensors(ours.path)
    assert list(found) == list(expected)
    assert {name: (kind, shape) for name, (kind, shape, _) in found.items()} == {name: told[:2] for name, told in expected.items()}
    different = [name for name, told in expected.items() if told != found[name]]
    assert not different


@pytest.mark.parametrize("kind", ["q4_k_m", "q5_k_m", "q6_k", "q8_0", "f16", "bf16"])
def test_quantized_tensors_are_llama_quantizes_own(export: Export, base: Path, adapter: Path, kind: str, tmp_path: Path) -> None:
    """Every type, both families, with an adapter: bit for bit what llama-quantize makes of our f32 file."""
    assert_equal_to_llama_quantize(export, base, adapter, kind, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("adapter_kind", sorted(ADAPTERS))
def test_every_kind_of_adapter_is_quantized_as_llama_quantize_does(export: Export, base: Path, tmp_path: Path, adapter_kind: str) -> None:
    """Every family, every kind of adapter, every type: bit for bit what llama-quantize makes of our f32 file."""
    brought = make_kind(adapter_kind, tmp_path / "adapter", base)
    for kind in ("q4_k_m", "q5_k_m", "q6_k", "q8_0", "f16", "bf16"):
        assert_equal_to_llama_quantize(export, base, brought, kind, tmp_path)


@pytest.mark.parametrize("layers", [3, 17])
@pytest.mark.parametrize("tied", [False, True])
def test_mix_is_exact_at_other_depths(export: Export, tmp_path: Path, family: str, layers: int, tied: bool) -> None:
    """The blocks that get more bits are the same at every depth, with tied and untied embeddings."""
    shape: dict[str, Any] = {"hidden_size": 256, "intermediate_size": 256, "num_attention_heads": 4, "num_hidden_layers": layers}
    base = make_base(tmp_path / "base", family, tie_word_embeddings=tied, **shape)
    assert_equal_to_llama_quantize(export, base, None, "q4_k_m", tmp_path)


@pytest.mark.parametrize(("hidden", "inner"), [(96, 160), (128, 256), (40, 72), (256, 336)])
def test_rows_that_blocks_do_not_divide_fall_back_as_llama_quantize_does(
    export: Export, tmp_path: Path, family: str, hidden: int, inner: int
) -> None:
    """Rows of 32-blocks get Q5_0 or Q8_0, odd ones F16."""
    base = make_base(tmp_path / "base", family, hidden_size=hidden, intermediate_size=inner, dtype=torch.float32, num_hidden_layers=4)
    for kind in ("q4_k_m", "q5_k_m", "q8_0"):
        assert_equal_to_llama_quantize(export, base, None, kind, tmp_path)


@pytest.mark.slow
def test_eighty_blocks_get_llama_cpps_rule_for_its_largest(export: Export, tmp_path: Path, family: str) -> None:
    """At 80 blocks v gets Q5_K where it would get Q4_K, in the families that llama.cpp knows as "70B"."""
    shape: dict[str, Any] = {"hidden_size": 256, "intermediate_size": 256, "num_attention_heads": 4, "num_hidden_layers": 80}
    base = make_base(tmp_path / "base", family, **shape)
    assert_equal_to_llama_quantize(export, base, None, "q4_k_m", tmp_path)


@given(
    blocks=st.integers(1, 128),
    columns=st.sampled_from([32, 64, 96, 100, 256, 512, 896, 1000]),
    kind=st.sampled_from(sorted(MIXES)),
    tied=st.booleans(),
)
@settings(max_examples=200, deadline=None)
def test_every_tensor_gets_a_type_whose_blocks_divide_its_rows(blocks: int, columns: int, kind: str, tied: bool) -> None:
    """Whatever the shape: vectors and norms stay f32, matrices get a type that fits, the head is never below Q6_K."""
    shapes: dict[str, tuple[int, ...]] = {"token_embd.weight": (64, columns), "output_norm.weight": (columns,)}
    if not tied:
        shapes["output.weight"] = (64, columns)
    for block in range(blocks):
        shapes[f"blk.{block}.attn_v.weight"] = shapes[f"blk.{block}.ffn_down.weight"] = (32, columns)
        shapes[f"blk.{block}.attn_q.bias"] = (32,)
    types = tensor_types(shapes, MIXES[kind], Architecture("qwen2", blocks, 8, 2))
    block_sizes = {Kind.F32: 1, Kind.F16: 1, Kind.BF16: 1, Kind.Q8_0: 32, Kind.Q5_0: 32, Kind.Q5_1: 32}
    for name, shape in shapes.items():
        assert shape[-1] % block_sizes.get(types[name], 256) == 0
        assert (types[name] is Kind.F32) == (len(shape) == 1 or kind == "f32")
    head = types["token_embd.weight" if tied else "output.weight"]
    assert head in {Kind.Q6_K, Kind.Q8_0, Kind.F16, Kind.BF16, Kind.F32}
