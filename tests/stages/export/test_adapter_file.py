"""A LoRA adapter as a GGUF file: on the base's file it computes what the merged file computes; what cannot be one is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import llama_cpp
import numpy as np
import pytest
import torch
from gguf import GGUFReader

from appliance.domain.errors import ApplianceError
from appliance.domain.event import Progress, Started
from appliance.texts.speech import LANGUAGES, explain
from tests.stages.export.adapters import ADAPTERS, make_kind
from tests.stages.export.conftest import Export
from tests.stages.export.tiny_base import make_adapter, make_base

IDS = np.random.default_rng(3).integers(3, 300, 60).tolist()
POSSIBLE = ["plain", "rslora", "patterns", "some modules", "head", "embedding"]


def logits(path: str, adapter: str | None = None) -> np.ndarray[Any, Any]:
    """Logits of every position, computed by llama.cpp: (tokens, vocabulary)."""
    exact = llama_cpp.GGML_TYPE_F32
    model = llama_cpp.Llama(path, lora_path=adapter, n_ctx=256, logits_all=True, verbose=False, type_k=exact, type_v=exact)
    model.eval(IDS)
    found = np.array(model.scores[: len(IDS)])
    model.close()
    return found


@pytest.mark.parametrize("kind", POSSIBLE)
@pytest.mark.parametrize("dtype", ["f32", "f16"])
def test_adapter_on_the_base_is_the_merged_model(export: Export, tmp_path: Path, kind: str, dtype: str) -> None:
    """Logits of base file + adapter file equal those of the merged file, for LoRA of every strength and on every layer."""
    base = make_base(tmp_path / "base", "llama", dtype=torch.float32, num_key_value_heads=2)
    adapter = make_kind(kind, tmp_path / "adapter", base)
    alone, merged, narrow = (
        export(base, None, kind=dtype, check=False),
        export(base, adapter, kind=dtype, check=False),
        export(base, adapter, form="adapter", output=tmp_path / "adapter.gguf"),
    )
    expected, found = logits(merged.path), logits(alone.path, narrow.path)
    tolerance = {"f32": 1e-4, "f16": 1e-2}[dtype]
    assert np.abs(found - expected).max() <= tolerance * np.abs(expected).max()
    assert np.abs(logits(alone.path) - expected).max() > 0.05 * np.abs(expected).max()


def test_every_family_can_have_one(export: Export, tmp_path: Path, family: str) -> None:
    """Names, shapes and the order of rotary rows are the family's."""
    base = make_base(tmp_path / "base", family, dtype=torch.float32)
    adapter = make_adapter(tmp_path / "adapter", base, use_rslora=True)
    alone, merged = export(base, None, kind="f32", check=False), export(base, adapter, kind="f32", check=False)
    narrow = export(base, adapter, form="adapter", output=tmp_path / "adapter.gguf")
    expected, found = logits(merged.path), logits(alone.path, narrow.path)
    assert np.abs(found - expected).max() <= 1e-4 * np.abs(expected).max()


def test_artifact_tells_what_was_made(export: Export, tmp_path: Path, base: Path, adapter: Path) -> None:
    """Kind, alpha and counts; the bar ends where it promised; the head says what llama.cpp asks for."""
    artifact = export(base, adapter, form="adapter", output=tmp_path / "narrow.gguf", name="窄")
    assert (artifact.role, artifact.facts["alpha"], artifact.facts["modules"]) == ("gguf_adapter", 8.0, 14)
    assert artifact.facts["check"]["done"]
    total, done = export.counted()
    assert total == done
    assert [event.what for event in export.events if isinstance(event, Started)] == ["write_adapter"]
    assert any(isinstance(event, Progress) for event in export.events)
    fields = GGUFReader(artifact.path).fields
    told = {key: fields[key].contents() for key in ("general.type", "adapter.type", "adapter.lora.alpha", "general.name")}
    assert told == {"general.type": "adapter", "adapter.type": "lora", "adapter.lora.alpha": 8.0, "general.name": "窄"}


def test_rslora_gets_the_alpha_that_llama_cpp_divides_by_the_rank(export: Export, tmp_path: Path, base: Path) -> None:
    """alpha · sqrt(rank) divided by the rank is alpha / sqrt(rank)."""
    adapter = make_adapter(tmp_path / "adapter", base, use_rslora=True, r=16, lora_alpha=8)
    assert export(base, adapter, form="adapter", output=tmp_path / "narrow.gguf").facts["alpha"] == 32.0


@pytest.mark.parametrize("kind", sorted(ADAPTERS.keys() - set(POSSIBLE)))
@pytest.mark.parametrize("tied", [False, True])
def test_what_cannot_be_one_is_refused_with_reason_and_way_out(export: Export, tmp_path: Path, kind: str, tied: bool) -> None:
    """DoRA, whole modules, trained or added tokens: told in both languages, and nothing is written."""
    base = make_base(tmp_path / "base", dtype=torch.float32, tie_word_embeddings=tied)
    adapter = make_kind(kind, tmp_path / "adapter", base)
    results = tmp_path / "results"
    with pytest.raises(ApplianceError) as caught:
        export(base, adapter, form="adapter", output=results / "narrow.gguf")
    assert caught.value.code == "adapter_file_impossible"
    assert not results.exists()
    for language in LANGUAGES:
        message, hint = explain(caught.value, language)
        assert "adapter_file" not in message
        assert hint


@pytest.mark.parametrize("kind", ["head", "embedding"])
def test_lora_on_a_tied_embedding_is_refused(export: Export, tmp_path: Path, kind: str) -> None:
    """llama.cpp has one tensor for both ends, training had two."""
    base = make_base(tmp_path / "base", tie_word_embeddings=True)
    with pytest.raises(ApplianceError) as caught:
        export(base, make_kind(kind, tmp_path / "adapter", base), form="adapter", output=tmp_path / "narrow.gguf")
    assert caught.value.parameters["problems"] == [{"code": "adapter_file_parts_embedding"}]
