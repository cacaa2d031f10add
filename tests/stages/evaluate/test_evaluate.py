"""Examination of bases, adapters and GGUF files, on tiny random models."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch

from appliance.domain.errors import ApplianceError
from appliance.domain.event import Artifact, Event, Metric, Notice, Produced, Progress, Started
from appliance.domain.recipe import ExportRecipe
from appliance.domain.spec import EvaluateSpec, ExportSpec
from appliance.files.checksum import file_sha256
from appliance.stages.evaluate import run
from appliance.stages.evaluate.answering import generated_answers
from appliance.stages.evaluate.exam import ANSWER_TOKENS, Question
from appliance.stages.export import run as export
from appliance.stages.language_model.chat_template import ChatTemplate
from appliance.stages.language_model.device import Device
from appliance.stages.language_model.loading import load_base, load_model, load_tokenizer
from tests.stages.export.adapters import make_kind
from tests.stages.export.tiny_base import make_adapter, make_base
from tests.stages.language_model.tiny import PLACES, conversation, facts, write_rows

QUESTIONS = [Question(f"q{number}", f"{place}？" + "请说明。" * (number % 5), ("x",)) for number, place in enumerate(PLACES * 2)]


def silent(_event: Event) -> None:
    """Hear nothing."""


@pytest.fixture
def exam(tmp_path: Path) -> Path:
    """Two questions that any model gets right and one that none does."""
    lines = [
        {"id": "a", "question": "人民路限速多少？", "required": [], "forbidden": ["绝不会这样说"]},
        {"id": "b", "question": "解放路呢？", "required": [], "forbidden": ["绝不会这样说"], "system": "你是交警。"},
        {"id": "c", "question": "中山路呢？", "required": ["绝不会这样说"]},
    ]
    path = tmp_path / "exam.jsonl"
    path.write_text("\n".join(json.dumps(line, ensure_ascii=False) for line in lines), "utf-8")
    return path


def examine(output: Path, **settings: Any) -> tuple[Artifact, list[Event]]:
    """Run the stage; its report and events."""
    chosen = {name: value if isinstance(value, int) else str(value) for name, value in settings.items()}
    spec = msgspec.convert({"output": str(output), "device": "cpu", **chosen}, EvaluateSpec)
    events: list[Event] = []
    run(spec, events.append)
    (artifact,) = [event.artifact for event in events if isinstance(event, Produced)]
    return artifact, events


def test_together_is_as_one_by_one(base: Path, cpu: Device) -> None:
    """Questions answered in padded batches get the answers that they get alone."""
    tokenizer = load_tokenizer(base)
    model = load_base(base, cpu, quantize=False)
    alone = generated_answers(model, tokenizer, cpu, QUESTIONS, silent, at_once=1)
    together = generated_answers(model, tokenizer, cpu, QUESTIONS, silent, at_once=5)
    assert together == alone
    assert len(set(alone.values())) > 1


def test_answer_is_greedy(base: Path, cpu: Device) -> None:
    """An answer is what the likeliest token after token gives, without cache or padding."""
    tokenizer, model = load_tokenizer(base), load_base(base, cpu, quantize=False)
    (answer,) = generated_answers(model, tokenizer, cpu, QUESTIONS[:1], silent).values()
    ids = ChatTemplate(tokenizer).prompt_ids(QUESTIONS[0].messages())
    start = len(ids)
    with torch.no_grad():
        while len(ids) < start + ANSWER_TOKENS and (len(ids) == start or ids[-1] != tokenizer.eos_token_id):
            ids.append(int(model(input_ids=torch.tensor([ids])).logits[0, -1].argmax()))
    assert answer == tokenizer.decode(ids[start:], skip_special_tokens=True)


def test_settings_of_the_base_do_not_matter(qwen2: Path, cpu: Device, tmp_path: Path) -> None:
    """Sampling and penalties that a base's folder asks for are not used in an exam."""
    folder = tmp_path / "base"
    shutil.copytree(qwen2, folder)
    settings = {"do_sample": True, "temperature": 5.0, "repetition_penalty": 9.0, "max_new_tokens": 3, "top_k": 3}
    (folder / "generation_config.json").write_text(json.dumps(settings))
    answers = [
        generated_answers(load_base(place, cpu, quantize=False), load_tokenizer(place), cpu, QUESTIONS[:3], silent)
        for place in (qwen2, folder)
    ]
    assert answers[0] == answers[1]


def test_end_of_turn_ends_the_answer(tmp_path: Path, cpu: Device) -> None:
    """The template's end of turn ends an answer even when the base's settings name another token."""
    folder = make_base(tmp_path / "base", "qwen2", tie_word_embeddings=False)
    tokenizer, model = load_tokenizer(folder), load_base(folder, cpu, quantize=False)
    end = tokenizer.convert_tokens_to_ids("<|im_end|>")
    with torch.no_grad():
        model.lm_head.weight[end] = 0
        model.lm_head.weight *= -1
        model.model.norm.weight.zero_()
        model.lm_head.bias = torch.nn.Parameter(torch.nn.functional.one_hot(torch.tensor(end), model.config.vocab_size).float())
    tokenizer.eos_token = "<|endoftext|>"
    assert set(generated_answers(model, tokenizer, cpu, QUESTIONS[:3], silent).values()) == {""}


def test_base_is_examined(base: Path, exam: Path, tmp_path: Path) -> None:
    """A base gets its loss, perplexity and exam, in the report as in the facts, and the story is told."""
    rows = write_rows(tmp_path / "rows.jsonl", facts(5))
    artifact, events = examine(tmp_path / "report.json", base=base, rows=rows, exam=exam)
    report = json.loads((tmp_path / "report.json").read_bytes())
    assert artifact.facts["scores"] == report["scores"]
    assert (artifact.facts["exam_correct"], artifact.facts["exam_questions"], report["scores"]["exam_accuracy"]) == (2, 3, 2 / 3)
    assert report["scores"]["perplexity"] == pytest.approx(math.exp(report["scores"]["validation_loss"]))
    assert [(entry["id"], entry["correct"]) for entry in report["exam"]] == [("a", True), ("b", True), ("c", False)]
    assert report["exam"][2]["missing"] == ["绝不会这样说"]
    assert (artifact.role, artifact.sha256) == ("report", file_sha256(tmp_path / "report.json"))
    assert {event.name for event in events if isinstance(event, Metric)} == {"validation_loss", "perplexity", "exam_accuracy"}
    assert [event.what for event in events if isinstance(event, Started)] == ["tokenize", "load_base", "loss", "exam"]
    assert [event.done for event in events if isinstance(event, Progress)][-1] == 3


def test_adapter_changes_the_scores(base: Path, tmp_path: Path) -> None:
    """With an adapter the loss is another, and NF4 another still; a report of the loss alone has no exam."""
    rows = write_rows(tmp_path / "rows.jsonl", facts(5))
    adapter = make_adapter(tmp_path / "adapter", base, scale=0.3)
    losses = set()
    choices: list[dict[str, Any]] = [{}, {"adapter": adapter}, {"adapter": adapter, "quantized_base": True}]
    for name, chosen in enumerate(choices):
        artifact, _ = examine(tmp_path / f"{name}.json", base=base, rows=rows, **chosen)
        losses.add(round(artifact.facts["scores"]["validation_loss"], 4))
        assert "exam_accuracy" not in artifact.facts["scores"]
    assert len(losses) == 3


def test_long_rows_are_counted(qwen2: Path, tmp_path: Path) -> None:
    """Rows beyond the longest length are left out of the loss and counted; when none is left, that is an error."""
    rows = write_rows(tmp_path / "rows.jsonl", facts(8))
    artifact, _ = examine(tmp_path / "r.json", base=qwen2, rows=rows, max_length=100)
    assert 0 < artifact.facts["rows_left_out"] < 8
    assert artifact.facts["rows"] + artifact.facts["rows_left_out"] == 8
    with pytest.raises(ApplianceError, match="nothing_to_predict"):
        examine(tmp_path / "s.json", base=qwen2, rows=rows, max_length=16)
    assert not (tmp_path / "s.json").exists()


@pytest.mark.parametrize(("shape", "size"), [("hidden_size", 128), ("num_hidden_layers", 1), ("num_hidden_layers", 3)])
def test_adapter_of_another_base_is_named(qwen2: Path, tmp_path: Path, shape: str, size: int) -> None:
    """An adapter that was trained on a base of another shape is one sentence, not a traceback."""
    settings: dict[str, Any] = {shape: size}
    other = make_base(tmp_path / "other", "qwen2", **settings)
    adapter = make_adapter(tmp_path / "adapter", other, target_modules=["q_proj", "down_proj"])
    with pytest.raises(ApplianceError, match="adapter_does_not_fit"):
        load_model(qwen2, adapter, Device("cpu", "CPU", torch.float32), quantize=False, emit=silent)


@pytest.mark.parametrize(("name", "code"), [("adapter_config.json", "json_broken"), ("adapter_model.safetensors", "safetensors_truncated")])
def test_damaged_adapter_is_named(qwen2: Path, tmp_path: Path, name: str, code: str) -> None:
    """An adapter whose files are damaged is one sentence."""
    adapter = make_adapter(tmp_path / "adapter", qwen2)
    (adapter / name).write_bytes((adapter / name).read_bytes()[:100])
    with pytest.raises(ApplianceError, match=code):
        load_model(qwen2, adapter, Device("cpu", "CPU", torch.float32), quantize=False, emit=silent)


def test_nothing_to_examine_with(qwen2: Path, tmp_path: Path) -> None:
    """Neither rows nor an exam is an error before anything is loaded."""
    with pytest.raises(ApplianceError, match="nothing_to_examine"):
        examine(tmp_path / "r.json", base=qwen2)


def test_gguf_is_examined(base: Path, exam: Path, tmp_path: Path) -> None:
    """A GGUF file is examined by llama-server: every question is answered, and the loss is said not to be measured."""
    gguf = tmp_path / "model.gguf"
    export(ExportSpec(base=str(base), output=str(gguf), recipe=ExportRecipe(type="f16"), check=False), silent)
    rows = write_rows(tmp_path / "rows.jsonl", facts(3))
    artifact, events = examine(tmp_path / "report.json", gguf=gguf, exam=exam, rows=rows)
    assert artifact.facts["scores"] == {"exam_accuracy": 2 / 3}
    assert Notice("info", "loss_not_measured") in events
    served = {entry["id"]: entry["answer"] for entry in json.loads((tmp_path / "report.json").read_bytes())["exam"]}
    loaded, _ = examine(tmp_path / "folder.json", base=base, exam=exam)
    assert loaded.facts["exam_questions"] == len(served)
    assert all(served.values())


@pytest.mark.parametrize("quantized", [True, False])
def test_both_ways_of_merging_are_measured_when_asked(tmp_path: Path, quantized: bool) -> None:
    """Two losses beside the usual one: they are those of the same adapter on either base, and of the folders merged each way."""
    base = make_base(tmp_path / "base", hidden_size=128, intermediate_size=192, dtype=torch.float32)
    adapter, rows = make_adapter(tmp_path / "adapter", base), write_rows(tmp_path / "rows.jsonl", facts(4))
    settings: dict[str, Any] = {"base": str(base), "adapter": str(adapter), "rows": str(rows), "device": "cpu"}
    artifact, _ = examine(tmp_path / "report.json", quantized_base=quantized, measure_merge=True, **settings)
    scores = artifact.facts["scores"]
    assert scores["validation_loss"] == scores["loss_dequantized" if quantized else "loss_original"]
    assert abs(scores["loss_dequantized"] - scores["loss_original"]) > 1e-4
    for into in ("original", "dequantized"):
        merged, recipe = tmp_path / into, ExportRecipe(merge_into=into)
        export(ExportSpec(base=str(base), adapter=str(adapter), output=str(merged), form="merged", recipe=recipe), silent)
        alone, _ = examine(tmp_path / f"{into}.json", base=str(merged), rows=str(rows), device="cpu")
        assert alone.facts["scores"]["validation_loss"] == pytest.approx(scores[f"loss_{into}"], rel=1e-5)


@pytest.mark.parametrize("kind", ["new tokens", "new tokens saved", "dora", "tokens"])
def test_adapters_with_tokens_of_their_own_are_examined_with_them(tmp_path: Path, kind: str) -> None:
    """The base gets the rows that the adapter brings, and text becomes tokens as in its training: as the merged folder says."""
    base = make_base(tmp_path / "base", dtype=torch.float32)
    adapter, rows = (
        make_kind(kind, tmp_path / "adapter", base),
        write_rows(tmp_path / "rows.jsonl", [conversation("词414词415？", "词416。")]),
    )
    together, _ = examine(tmp_path / "a.json", base=str(base), adapter=str(adapter), rows=str(rows), device="cpu")
    export(ExportSpec(base=str(base), adapter=str(adapter), output=str(tmp_path / "merged"), form="merged"), silent)
    merged, _ = examine(tmp_path / "b.json", base=str(tmp_path / "merged"), rows=str(rows), device="cpu")
    assert together.facts["tokens"] == merged.facts["tokens"]
    assert together.facts["validation_loss"] == pytest.approx(merged.facts["validation_loss"], rel=1e-5)
