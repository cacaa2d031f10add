"""The importance matrix: what is in it, what it does to the bytes, what it says before it costs anything."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import psutil
import pytest
import torch
from gguf import GGUFReader
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast

from appliance.domain.conversation import Conversation, Message, to_json
from appliance.domain.errors import ApplianceError, ExitCode
from appliance.domain.event import Notice, Progress, Started
from appliance.stages.export import importance
from appliance.stages.export.importance import read_importance
from appliance.stages.export.plan import PlannedTensor
from appliance.stages.export.sampling import SampleRequest, sampled
from tests.stages.export.conftest import Export
from tests.stages.export.conversation_rows import write_rows
from tests.stages.export.test_parity import llama_quantize, tensors
from tests.stages.export.tiny_base import make_base


@pytest.fixture(scope="session")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset of forty conversations."""
    return write_rows(tmp_path_factory.mktemp("rows") / "rows.jsonl")


@pytest.fixture(scope="session")
def qwen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base of one family, for what does not depend on the family."""
    return make_base(tmp_path_factory.mktemp("bases") / "qwen2", hidden_size=256, intermediate_size=512, num_attention_heads=8)


def test_weighed_tensors_are_llama_quantizes_own(export: Export, base: Path, adapter: Path, rows: Path, tmp_path: Path) -> None:
    """Every family, with an adapter: bit for bit what ``llama-quantize --imatrix`` makes of our f32 file with our matrix."""
    assert_equal_to_llama_quantize(export, base, adapter, rows, "q4_k_m", tmp_path)


@pytest.mark.parametrize("kind", ["q5_k_m", "q6_k"])
def test_weighed_tensors_of_other_types_are_llama_quantizes_own(export: Export, qwen: Path, rows: Path, kind: str, tmp_path: Path) -> None:
    """The larger types with a matrix are exact, too."""
    assert_equal_to_llama_quantize(export, qwen, None, rows, kind, tmp_path)


def assert_equal_to_llama_quantize(export: Export, base: Path, adapter: Path | None, rows: Path, kind: str, tmp_path: Path) -> None:
    """With the same matrix both ways give the same tensors, which are not those without a matrix."""
    ours = export(base, adapter, kind=kind, output=tmp_path / "ours.gguf", importance_rows=str(rows), check=False)
    full = export(base, adapter, kind="f32", check=False)
    plain = export(base, adapter, kind=kind, check=False)
    reference = tmp_path / "reference.gguf"
    llama_quantize(Path(full.path), reference, kind, "--imatrix", tmp_path / "ours.imatrix.gguf")
    found, expected = tensors(ours.path), tensors(reference)
    assert list(found) == list(expected)
    assert not [name for name, told in expected.items() if told != found[name]]
    assert any(told != found[name] for name, told in tensors(plain.path).items())


def test_matrix_holds_the_mean_square_of_every_weights_input(export: Export, tmp_path: Path, rows: Path) -> None:
    """What transformers feeds to each linear layer over the same text, squared and averaged, is what the file says."""
    base = make_base(tmp_path / "base", dtype=torch.float32, num_hidden_layers=2)
    export(base, kind="q6_k", output=tmp_path / "m.gguf", importance_rows=str(rows), importance_name="records", check=False)
    matrix = read_importance(tmp_path / "m.imatrix.gguf")
    assert matrix.datasets == ("records.txt",)
    text = tmp_path / "text"
    sample = sampled(SampleRequest(rows=str(rows), tokenizer=str(base), tokens=32_768, text=str(text)), tmp_path, lambda _done: None)
    ids = PreTrainedTokenizerFast.from_pretrained(base).backend_tokenizer.encode(text.read_text("utf-8"), add_special_tokens=False).ids
    chunks, context = importance.chunks_of(sample.tokens)
    assert matrix.chunks == chunks
    expected = mean_squares(base, torch.tensor(ids[: chunks * context]).reshape(chunks, context))
    assert matrix.columns.keys() == expected.keys()
    for name, means in expected.items():
        assert np.allclose(matrix.columns[name], means, rtol=0.02), name


def mean_squares(base: Path, ids: torch.Tensor) -> dict[str, Any]:
    """Mean squared input of every linear layer in the blocks, by llama.cpp's names."""
    ours = {"q_proj": "attn_q", "k_proj": "attn_k", "v_proj": "attn_v", "o_proj": "attn_output", "gate_proj": "ffn_gate"}
    ours |= {"up_proj": "ffn_up", "down_proj": "ffn_down"}
    model: Any = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    found = {}
    for name, module in model.named_modules():
        last = name.rpartition(".")[2]
        if last in ours:
            block = name.split(".")[2]

            def hear(_module: Any, inputs: Any, _output: Any, name: str = f"blk.{block}.{ours[last]}.weight") -> None:
                found[name] = inputs[0].square().mean((0, 1)).numpy()

            module.register_forward_hook(hear)
    with torch.no_grad():
        model(ids)
    return found


def test_cost_sample_and_result_are_told(export: Export, qwen: Path, rows: Path, tmp_path: Path) -> None:
    """Disk, memory and time are said first; the parts count to their end; facts and metadata name the matrix; only results remain."""
    artifact = export(qwen, output=tmp_path / "m.gguf", importance_rows=str(rows), importance_name="记录", check=False)
    notices = {event.code: event.parameters for event in export.events if isinstance(event, Notice)}
    costs = notices["importance_costs"]
    assert costs["disk"] > 2 * artifact.facts["parameters"]
    assert costs["memory"] > 100_000_000
    assert costs["seconds"] > 0
    parts = [event.what for event in export.events if isinstance(event, Started)]
    assert parts == ["sample", "full_precision", "importance", "merge_quantize"]
    kinds = [type(event) for event in export.events]
    first_work = next(place for place, event in enumerate(export.events) if isinstance(event, Started) and event.what == "full_precision")
    assert kinds.index(Notice) < first_work
    assert_every_part_reaches_its_end(export)
    facts = artifact.facts["importance"]
    assert (facts["dataset"], facts["rows"], facts["of_rows"], facts["file"]) == ("记录", 40, 40, "m.imatrix.gguf")
    told = {name: field.contents() for name, field in GGUFReader(artifact.path).fields.items() if name.startswith("quantize.imatrix")}
    assert told["quantize.imatrix.file"] == "m.imatrix.gguf"
    assert told["quantize.imatrix.dataset"] == "记录.txt"
    assert told["quantize.imatrix.entries_count"] == facts["entries"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m.gguf", "m.imatrix.gguf"]


def assert_every_part_reaches_its_end(export: Export) -> None:
    """The last progress of every part with a total is that total."""
    totals: list[tuple[str, int | None, int]] = []
    for event in export.events:
        if isinstance(event, Started):
            totals.append((event.what, event.total, 0))
        elif isinstance(event, Progress):
            totals[-1] = (*totals[-1][:2], event.done)
    assert [told for told in totals if told[1] is not None and told[1] != told[2]] == []


def test_a_dataset_that_is_too_small_is_refused(export: Export, qwen: Path, tmp_path: Path) -> None:
    """Fewer tokens than say anything: told with both numbers, before the model is written."""
    path = tmp_path / "rows.jsonl"
    path.write_bytes(to_json(Conversation((Message("user", "？"), Message("assistant", "。")))) + b"\n")
    with pytest.raises(ApplianceError) as caught:
        export(qwen, output=tmp_path / "out" / "m.gguf", importance_rows=str(path))
    assert caught.value.code == "importance_too_small"
    assert caught.value.parameters["tokens"] < caught.value.parameters["needed"]
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize(("content", "code"), [(None, "rows_missing"), (b'{"messages": 3}\n', "rows_damaged")])
def test_rows_that_cannot_be_read_are_named(export: Export, qwen: Path, tmp_path: Path, content: bytes | None, code: str) -> None:
    """A missing file and a damaged line are the errors that training would tell."""
    path = tmp_path / "rows.jsonl"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ApplianceError) as caught:
        export(qwen, importance_rows=str(path))
    assert caught.value.code == code
    assert caught.value.parameters["path"] == str(path)


@pytest.mark.parametrize("lacking", ["disk", "memory"])
def test_room_is_asked_for_first(
    export: Export, qwen: Path, rows: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lacking: str
) -> None:
    """A disk that holds the result but not the full-precision file, or too little memory: refused with the figures, nothing left."""
    if lacking == "disk":
        monkeypatch.setattr(shutil, "disk_usage", lambda _path: SimpleNamespace(free=100 << 20))
    else:
        monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=100 << 20, total=8 << 30))
    with pytest.raises(ApplianceError) as caught:
        export(qwen, output=tmp_path / "out" / "m.gguf", importance_rows=str(rows))
    assert (caught.value.code, caught.value.exit_code) == (f"{lacking}_too_small", ExitCode.NO_ROOM)
    assert caught.value.parameters["needed"] > caught.value.parameters["free"] == 100 << 20
    assert list((tmp_path / "out").iterdir()) == []


def test_a_program_that_fails_fails_the_export(
    export: Export, qwen: Path, rows: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last words of llama-imatrix are told and nothing is published."""
    script = tmp_path / "llama-imatrix"
    script.write_text("#!/bin/sh\necho no such luck >&2\nexit 3\n")
    script.chmod(0o755)
    monkeypatch.setattr(importance, "_program", lambda: script)
    with pytest.raises(ApplianceError) as caught:
        export(qwen, output=tmp_path / "out" / "m.gguf", importance_rows=str(rows))
    assert (caught.value.code, caught.value.parameters["log"]) == ("importance_failed", "no such luck")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_matrix_of_another_model_is_refused(export: Export, qwen: Path, rows: Path, tmp_path: Path) -> None:
    """Other widths are named by the tensor."""
    other = make_base(tmp_path / "other", hidden_size=128, num_attention_heads=4)
    export(other, output=tmp_path / "m.gguf", importance_rows=str(rows), check=False)
    matrix = read_importance(tmp_path / "m.imatrix.gguf")
    tensor = PlannedTensor("blk.0.attn_q.weight", (4, 256), None)
    with pytest.raises(ApplianceError, match="importance_unusable"):
        importance.weighed(matrix)(tensor, np.zeros((4, 256), dtype=np.float32))
