"""Base + adapter is what peft makes of them, and the merged folder is a model that transformers loads."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from appliance.files.base_screening import screen_base
from appliance.files.checksum import folder_manifest, manifest_sha256
from appliance.stages.export import merged_folder
from appliance.stages.export.base_weights import as_f32, from_f32, opened_weights
from appliance.stages.export.plan import gguf_tensors, read_base, sum_of
from appliance.stages.export.pouring import gguf_bytes, interleaved, poured
from appliance.stages.export.type_mix import MIXES
from tests.stages.export.adapters import ADAPTERS, PARTING, load_tuned, logits_of, make_kind
from tests.stages.export.conftest import Export
from tests.stages.export.tiny_base import make_base


@pytest.mark.parametrize("kind", sorted(ADAPTERS))
def test_sum_is_pefts_own_merge(export: Export, tmp_path: Path, family: str, kind: str) -> None:
    """From an f32 base, every tensor equals peft's ``merge_and_unload`` to 1e-6 relative."""
    base = make_base(tmp_path / "base", family, dtype=torch.float32)
    adapter = make_kind(kind, tmp_path / "adapter", base)
    merged = export(base, adapter, form="merged", output=tmp_path / "merged")
    expected = load_tuned(base, adapter).merge_and_unload().state_dict()
    found = load_file(Path(merged.path) / "model.safetensors")
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        assert float((found[name] - tensor).norm() / tensor.norm()) <= 1e-6, name


@pytest.mark.parametrize("kind", sorted(ADAPTERS))
def test_tied_embeddings_are_merged_as_they_were_trained(export: Export, tmp_path: Path, kind: str) -> None:
    """The merged folder computes what base + adapter compute; where training has parted embedding and head, they are two tensors."""
    # peft's own merge changes both through the one that was trained: it is no reference here.
    base = make_base(tmp_path / "base", dtype=torch.float32, tie_word_embeddings=True)
    adapter = make_kind(kind, tmp_path / "adapter", base)
    merged = export(base, adapter, form="merged", output=tmp_path / "merged").path
    result = AutoModelForCausalLM.from_pretrained(merged, dtype=torch.float32, local_files_only=True)
    assert result.config.tie_word_embeddings == (kind not in PARTING)
    expected = logits_of(load_tuned(base, adapter))
    assert float((logits_of(result) - expected).abs().max()) <= 1e-5 * float(expected.abs().max())


def test_merged_folder_loads_and_answers_like_base_with_adapter(export: Export, tmp_path: Path, base: Path, adapter: Path) -> None:
    """transformers loads the bf16 folder with its tokenizer, and its logits are those of base + adapter up to bf16's rounding."""
    artifact = export(base, adapter, form="merged", output=tmp_path / "merged")
    merged = AutoModelForCausalLM.from_pretrained(artifact.path, dtype="auto", local_files_only=True, use_safetensors=True)
    assert merged.dtype == torch.bfloat16
    tuned: Any = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32), str(adapter))
    ids = torch.tensor([AutoTokenizer.from_pretrained(artifact.path)("京A12345 在交叉口直行")["input_ids"]])
    with torch.no_grad():
        found, expected = merged.float()(ids).logits, tuned(ids).logits
    assert float((found - expected).abs().max()) <= 0.02 * float(expected.abs().max())
    assert screen_base(Path(artifact.path)).chat_template


def test_merged_artifact_tells_its_checksum_and_progress(export: Export, tmp_path: Path, base: Path, adapter: Path) -> None:
    """The manifest is the folder's, the counter runs to the base's bytes, and nothing half-written is left beside it."""
    artifact = export(base, adapter, form="merged", output=tmp_path / "merged")
    assert artifact.role == "merged"
    assert artifact.facts["manifest"] == folder_manifest(tmp_path / "merged")
    assert artifact.sha256 == manifest_sha256(artifact.facts["manifest"])
    total, done = export.counted()
    assert total == done
    assert [path.name for path in tmp_path.iterdir()] == ["merged"]


def test_large_results_are_sharded_with_an_index(
    export: Export, tmp_path: Path, base: Path, adapter: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More than a shard's bytes become several files and an index, which transformers loads as the same weights."""
    whole = export(base, adapter, form="merged", output=tmp_path / "whole")
    write = merged_folder.write_merged
    monkeypatch.setattr("appliance.stages.export.write_merged", partial(write, shard_bytes=300_000))
    sharded = export(base, adapter, form="merged", output=tmp_path / "sharded")
    shards = sorted(path.name for path in (tmp_path / "sharded").glob("*.safetensors"))
    assert len(shards) > 3
    assert json.loads((tmp_path / "sharded" / "model.safetensors.index.json").read_text())["metadata"]["total_size"] > 300_000
    loaded = [AutoModelForCausalLM.from_pretrained(artifact.path, dtype="auto").state_dict() for artifact in (whole, sharded)]
    assert all(torch.equal(tensor, loaded[1][name]) for name, tensor in loaded[0].items())


def test_sharded_base_gives_the_same_file(export: Export, tmp_path: Path, family: str) -> None:
    """Whether a base lies in one file or in shards makes no difference to a single byte of the tensors."""
    bases = [make_base(tmp_path / size, family, shard_bytes=size) for size in ("5GB", "60KB")]
    assert len(list(bases[1].glob("*.safetensors"))) > 2
    first, second = (export(base, check=False, name="same") for base in bases)
    assert first.sha256 == second.sha256


def test_number_of_threads_changes_no_byte(base: Path, adapter: Path) -> None:
    """One thread or five: the same result, in the same order."""
    model = sum_of(read_base(base), adapter)
    planned = gguf_tensors(model, MIXES["q8_0"])
    results = []
    for threads in (1, 5):
        with opened_weights(model.files) as reader:
            results.append([(tensor.name, content.tobytes()) for tensor, _, content in poured(planned, reader, gguf_bytes, threads)])
    assert results[0] == results[1]


def test_bf16_is_rounded_as_torch_does() -> None:
    """To the nearest, and to even on a tie; reading it back is exact."""
    bits = np.random.default_rng(5).integers(0, 2**32, 200_000, dtype=np.uint32)
    ties = (bits & np.uint32(0xFFFF0000)) | np.uint32(0x8000)
    values: NDArray[np.float32] = np.concatenate([bits, ties]).view(np.float32)
    values = values[np.isfinite(values)]
    ours = from_f32(values, "BF16")
    expected = torch.from_numpy(values).to(torch.bfloat16)
    assert np.array_equal(ours.view(np.int16), expected.view(torch.int16).numpy())
    finite = np.isfinite(expected.float().numpy())
    assert np.array_equal(as_f32(ours, "BF16")[finite], expected.float().numpy()[finite])


def test_rotary_rows_become_pairs() -> None:
    """Row i of the first half of a head is followed by row i of the second half, head by head."""
    rows = np.arange(8, dtype=np.float32)[:, None]
    assert interleaved(rows, 4)[:, 0].tolist() == [0, 2, 1, 3, 4, 6, 5, 7]
