"""The quality after writing: what is measured is right, said, limited, and left out with a reason."""

from __future__ import annotations

import math
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import psutil
import pytest
import torch
from numpy.typing import NDArray
from transformers import AutoModelForCausalLM

from appliance.domain.conversation import Conversation, Message, to_json
from appliance.domain.errors import ApplianceError, ExitCode
from appliance.domain.event import Event, Notice, Produced, Progress, Started
from appliance.domain.recipe import ExportRecipe
from appliance.domain.spec import ExportSpec
from appliance.stages.export import run
from appliance.stages.export.quality import compared
from appliance.stages.export.sampling import Sample, SampleRequest, sampled
from appliance.stages.language_model.device import Device
from appliance.stages.language_model.loading import load_tokenizer
from appliance.stages.language_model.loss import mean_loss
from appliance.stages.language_model.tokenized_rows import tokenize_rows
from tests.stages.export.conftest import Export
from tests.stages.export.conversation_rows import write_rows
from tests.stages.export.test_gguf import llama_cpp_logits
from tests.stages.export.tiny_base import make_adapter, make_base


@pytest.fixture(scope="session")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset of thirty conversations."""
    return write_rows(tmp_path_factory.mktemp("rows") / "rows.jsonl", count=30)


@pytest.fixture(scope="session")
def qwen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base whose predictions differ from token to token."""
    return make_base(tmp_path_factory.mktemp("bases") / "qwen2", hidden_size=256, intermediate_size=512, num_attention_heads=8)


def no_progress(_done: int) -> None:
    """For what is not watched."""


def sample_of(rows: Path, base: Path, work: Path, tokens: int = 8192) -> tuple[Sample, Path]:
    """A sample's figures and its tokens."""
    ids = work / "ids.npz"
    return sampled(SampleRequest(rows=str(rows), tokenizer=str(base), tokens=tokens, ids=str(ids)), work, no_progress), ids


def test_figures_are_measured_stored_and_told(export: Export, tmp_path: Path, qwen: Path, rows: Path) -> None:
    """Perplexity of both, divergence and agreement: in facts, scores and a notice; cost first, every part to its end, nothing left."""
    adapter = make_adapter(tmp_path / "adapter", qwen)
    artifact = export(qwen, adapter, output=tmp_path / "out" / "m.gguf", validation_rows=str(rows))
    quality = artifact.facts["quality"]
    assert quality["done"]
    assert quality["rows"] == quality["of_rows"] == 30
    assert quality["perplexity_ratio"] == pytest.approx(quality["perplexity"] / quality["perplexity_full"])
    assert 0 < quality["kl_divergence"] < 0.5
    assert 0 < quality["kl_divergence_error"] < quality["kl_divergence"]
    assert 0.5 < quality["same_top"] <= 1
    assert artifact.facts["scores"] == {name: quality[name] for name in ("perplexity", "perplexity_full", "kl_divergence", "same_top")}
    parts = [event.what for event in export.events if isinstance(event, Started)]
    assert parts == ["sample", "full_precision", "merge_quantize", "check", "quality"]
    codes = [event.code for event in export.events if isinstance(event, Notice)]
    assert codes[:2] == ["quality_costs", "quality_measured"]
    ends = [event for event in export.events if isinstance(event, Progress)]
    assert ends[-1].done == [event.total for event in export.events if isinstance(event, Started)][-1]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["m.gguf"]


def test_full_precision_is_what_training_measures(export: Export, tmp_path: Path, qwen: Path, rows: Path) -> None:
    """The perplexity of the unquantized model is transformers' own over the same rows, to a thousandth."""
    quality = export(qwen, validation_rows=str(rows)).facts["quality"]
    events: list[Event] = []
    tokens = tokenize_rows(rows, load_tokenizer(qwen), 2048, events.append)
    model: Any = AutoModelForCausalLM.from_pretrained(qwen, dtype=torch.float32)
    expected = mean_loss(model, tokens, Device("cpu", "CPU", torch.float32))
    assert expected.tokens == quality["tokens"]
    assert quality["perplexity_full"] == pytest.approx(math.exp(expected.value), rel=1e-3)


def test_divergence_is_that_of_the_logits(export: Export, tmp_path: Path, qwen: Path, rows: Path) -> None:
    """Computed once more, sequence by sequence, from what llama.cpp gives for each file by itself."""
    full, quantized = (Path(export(qwen, kind=kind, check=False).path) for kind in ("f16", "q4_k_m"))
    _, ids = sample_of(rows, qwen, tmp_path, tokens=600)
    found = compared(full, quantized, ids, tmp_path, no_progress)
    divergences, same = [], []
    with np.load(ids) as stored:
        starts = [0, *stored["ends"][:-1]]
        for start, end in zip(starts, stored["ends"], strict=True):
            sequence = stored["ids"][start:end].tolist()
            ours, theirs = (log_softmax(llama_cpp_logits(str(path), sequence)) for path in (full, quantized))
            spoken = stored["scored"][start:end][1:]
            divergences += (np.exp(ours) * (ours - theirs)).sum(1)[:-1][spoken].tolist()
            same += (ours.argmax(1) == theirs.argmax(1))[:-1][spoken].tolist()
    assert found.tokens == len(divergences)
    assert found.kl_divergence == pytest.approx(np.mean(divergences), rel=0.02)
    assert found.same_top == pytest.approx(np.mean(same), abs=0.02)


def log_softmax(logits: NDArray[Any]) -> NDArray[np.float64]:
    """Log probabilities of each row."""
    shifted: NDArray[np.float64] = logits.astype(np.float64) - logits.max(1, keepdims=True)
    shifted -= np.log(np.exp(shifted).sum(1, keepdims=True))
    return shifted


def test_a_file_does_not_differ_from_itself(export: Export, tmp_path: Path, qwen: Path, rows: Path) -> None:
    """Divergence 0 to rounding, every first choice the same, both perplexities equal."""
    path = Path(export(qwen, kind="q8_0", check=False).path)
    _, ids = sample_of(rows, qwen, tmp_path, tokens=500)
    found = compared(path, path, ids, tmp_path, no_progress)
    assert abs(found.kl_divergence) < 1e-6
    assert found.same_top == 1
    assert found.loss == found.loss_full


def test_beyond_the_limits_the_next_larger_type_is_named(tmp_path: Path, qwen: Path, rows: Path) -> None:
    """A warning with the type that was asked for, the limits and the next one; the file is published all the same."""
    events: list[Event] = []
    recipe = ExportRecipe(type="q5_k_m", max_kl_divergence=1e-9, check_tokens=256)
    spec = ExportSpec(base=str(qwen), output=str(tmp_path / "m.gguf"), recipe=recipe, validation_rows=str(rows))
    run(spec, events.append)
    (warning,) = [event for event in events if isinstance(event, Notice) and event.level == "warning"]
    assert warning.code == "quality_beyond_limits"
    assert (warning.parameters["type"], warning.parameters["larger"]) == ("q5_k_m", "q6_k")
    (produced,) = [event for event in events if isinstance(event, Produced)]
    assert produced.artifact.facts["quality"]["within_limits"] is False


def test_within_the_limits_nothing_is_warned_of(tmp_path: Path, qwen: Path, rows: Path) -> None:
    """q8_0 keeps what there is."""
    events: list[Event] = []
    spec = ExportSpec(base=str(qwen), output=str(tmp_path / "m.gguf"), recipe=ExportRecipe(type="q8_0"), validation_rows=str(rows))
    run(spec, events.append)
    assert not [event for event in events if isinstance(event, Notice) and event.level == "warning"]


@pytest.mark.parametrize(
    ("reason", "code", "settings"),
    [
        ("no_rows", "quality_left_out_no_rows", {"validation_rows": ""}),
        ("check", "check_left_out", {"check": False}),
        ("full_precision", "", {"kind": "f16"}),
    ],
)
def test_what_is_left_out_is_said_and_kept(
    export: Export, qwen: Path, rows: Path, reason: str, code: str, settings: dict[str, Any]
) -> None:
    """Without rows, without a check, for an unquantized type: the reason stands in the facts, and no full-precision file is written."""
    artifact = export(qwen, **{"validation_rows": str(rows), **settings})
    assert artifact.facts["quality"] == {"done": False, "reason": reason}
    assert artifact.facts["scores"] == {}
    assert [event.code for event in export.events if isinstance(event, Notice)] == ([code] if code else [])
    assert "full_precision" not in [event.what for event in export.events if isinstance(event, Started)]


def test_rows_without_a_short_answer_leave_it_out(export: Export, tmp_path: Path, qwen: Path) -> None:
    """When the sample ends before the first answer begins, that is said."""
    path = tmp_path / "rows.jsonl"
    path.write_bytes(to_json(Conversation((Message("user", "绿波" * 4000), Message("assistant", "好")))) + b"\n")
    assert export(qwen, validation_rows=str(path)).facts["quality"]["reason"] == "no_answers"


@pytest.mark.parametrize("lacking", ["disk", "memory"])
def test_without_room_the_model_is_published_and_the_figures_are_said(
    export: Export, qwen: Path, rows: Path, monkeypatch: pytest.MonkeyPatch, lacking: str
) -> None:
    """Disk for the result but not for the full-precision file, or too little memory: left out, with what would be needed."""
    if lacking == "disk":
        monkeypatch.setattr(shutil, "disk_usage", lambda _path: SimpleNamespace(free=100 << 20))
    else:
        monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=100 << 20, total=8 << 30))
    artifact = export(qwen, validation_rows=str(rows))
    assert artifact.facts["quality"] == {"done": False, "reason": "no_room"}
    (notice,) = [event for event in export.events if isinstance(event, Notice)]
    assert notice.code == f"quality_left_out_no_{lacking}"
    assert notice.parameters["needed"] > notice.parameters["free"] == 100 << 20


def test_a_weight_too_large_for_f16_is_compared_in_bf16(export: Export, tmp_path: Path, rows: Path) -> None:
    """Full precision is bf16 then, and the comparison goes on."""
    base = make_base(tmp_path / "base")
    enlarge_one_weight(base)
    quality = export(base, kind="bf16", check=False)  # the result itself holds it
    assert quality.size > 0
    full = export(base, kind="q8_0", output=tmp_path / "out" / "m.gguf", validation_rows=str(rows))
    assert full.facts["quality"]["done"]
    parts = [event.what for event in export.events if isinstance(event, Started)]
    assert parts.count("full_precision") == 2


def enlarge_one_weight(base: Path) -> None:
    """Give an up-projection a value that f16 does not have, in a row that its partner silences."""
    from safetensors.torch import load_file, save_file

    tensors = load_file(base / "model.safetensors")
    tensors["model.layers.0.mlp.up_proj.weight"][0, 0] = 1e5
    tensors["model.layers.0.mlp.gate_proj.weight"][0] = 0
    save_file(tensors, base / "model.safetensors", {"format": "pt"})


@pytest.mark.parametrize("content", [b"", b"GGUF\x03\x00\x00\x00" + b"\xff" * 64])
def test_a_file_that_cannot_be_compared_fails_the_check(export: Export, tmp_path: Path, qwen: Path, rows: Path, content: bytes) -> None:
    """A child that cannot load it, or dies of it, is an error here, with its last words."""
    full = Path(export(qwen, kind="f16", check=False).path)
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(content)
    _, ids = sample_of(rows, qwen, tmp_path, tokens=256)
    with pytest.raises(ApplianceError) as caught:
        compared(full, broken, ids, tmp_path, no_progress)
    assert caught.value.code in ("check_load_failed", "check_crashed")
    assert caught.value.exit_code == ExitCode.RUN_FAILED


def test_the_sample_is_a_fair_draw_that_repeats(tmp_path: Path, qwen: Path) -> None:
    """Order does not matter, the limit holds to the token, and another dataset gives another sample."""
    path, turned = write_rows(tmp_path / "rows.jsonl", count=200), tmp_path / "turned.jsonl"
    turned.write_bytes(b"".join(reversed(path.read_bytes().splitlines(keepends=True))))
    drawn = [sample_of(one, qwen, tmp_path, tokens=1000) for one in (path, turned)]
    contents = []
    for one in (path, turned):
        _, ids = sample_of(one, qwen, tmp_path, tokens=1000)
        contents.append(ids.read_bytes())
    assert drawn[0][0] == drawn[1][0]
    assert contents[0] == contents[1]
    assert drawn[0][0].tokens == 1000
    assert drawn[0][0].of_rows == 200
    assert 0 < drawn[0][0].scored < 1000


def test_tokens_and_trained_ones_are_those_of_training(tmp_path: Path, base: Path, rows: Path) -> None:
    """In every family the ids and the tokens that are scored are those that training trains."""
    _, ids = sample_of(rows, base, tmp_path, tokens=100_000)
    trained = tokenize_rows(rows, load_tokenizer(base), 2048, lambda _event: None)
    told = {(tuple(trained.ids(row).tolist()), tuple(trained.trained(row).tolist())) for row in range(len(trained))}
    with np.load(ids) as stored:
        ends = stored["ends"].tolist()
        found = {
            (tuple(stored["ids"][start:end].tolist()), tuple(stored["scored"][start:end].tolist()))
            for start, end in zip([0, *ends[:-1]], ends, strict=True)
        }
    assert found == told


def test_work_of_a_killed_export_is_cleared_by_the_next(export: Export, tmp_path: Path, qwen: Path) -> None:
    """What a kill left in the work folder is gone after the next try."""
    place = tmp_path / "out" / "m.gguf"
    left = place.with_name("m.gguf.work.partial")
    left.mkdir(parents=True)
    (left / "full.gguf").write_bytes(bytes(1000))
    place.with_name("m.gguf.partial").write_bytes(b"half")
    export(qwen, output=place, check=False)
    assert [path.name for path in place.parent.iterdir()] == ["m.gguf"]
    assert place.stat().st_size > 1000
