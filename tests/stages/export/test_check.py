"""The check after writing: what must not be used is never seen at its place."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gguf import GGUFWriter
from safetensors.torch import load_file, save_file

from appliance.domain.errors import ApplianceError, ExitCode
from appliance.stages.export.checking import CheckRequest, checked
from appliance.stages.export.probe_texts import COUNT, probe_texts
from appliance.stages.export.vocabulary import Vocabulary
from tests.stages.export.conftest import Export
from tests.stages.export.tiny_base import CHATML, make_base

TEACHING_BASE = Path(__file__).parents[3] / "appliance" / "demo" / "base"


def edited_json(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Rewrite a JSON file after a change."""
    content = json.loads(path.read_text("utf-8"))
    change(content)
    path.write_text(json.dumps(content, ensure_ascii=False), "utf-8")


def strip_spaces_after_added_tokens(tokenizer: dict[str, Any]) -> None:
    """A setting that llama.cpp does not have: a marker swallows the spaces that follow it."""
    for token in tokenizer["added_tokens"]:
        token["rstrip"] = True


def give_infinite_logits(base: Path) -> None:
    """Finite weights whose products are not."""
    weights = load_file(base / "model.safetensors")
    weights["model.norm.weight"][:] = 1e38
    weights["lm_head.weight"][:] = 50.0
    save_file(weights, base / "model.safetensors", {"format": "pt"})


def refused(export: Export, base: Path, folder: Path) -> ApplianceError:
    """The error of an export that must leave nothing behind."""
    with pytest.raises(ApplianceError) as caught:
        export(base, output=folder / "model.gguf", kind="q8_0")
    assert [path.name for path in folder.iterdir()] == []
    return caught.value


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """An empty folder for the result."""
    folder = tmp_path / "results"
    folder.mkdir()
    return folder


def test_other_token_ids_are_found(export: Export, tmp_path: Path, results: Path) -> None:
    """A tokenizer that llama.cpp does not follow is named with the first text, and the file never appears."""
    base = make_base(tmp_path / "base")
    edited_json(base / "tokenizer.json", strip_spaces_after_added_tokens)
    error = refused(export, base, results)
    assert (error.code, error.exit_code) == ("check_tokens_differ", ExitCode.RUN_FAILED)
    assert error.parameters["strings"] == COUNT
    assert 0 < error.parameters["mismatches"] < COUNT
    assert error.parameters["expected"] != error.parameters["found"]


def test_a_file_that_aborts_llama_cpp_fails_its_check_and_nothing_else(
    export: Export, tmp_path: Path, results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tokenizer without byte tokens makes llama.cpp abort: the child dies, the stage tells how, the file never appears."""

    def add_as_sentencepiece(vocabulary: Vocabulary, head: GGUFWriter) -> None:
        head.add_tokenizer_model("llama")
        head.add_token_list(vocabulary.tokens)
        head.add_token_scores([0.0] * len(vocabulary.tokens))
        head.add_token_types(vocabulary.kinds)

    monkeypatch.setattr(Vocabulary, "add_to", add_as_sentencepiece)
    error = refused(export, make_base(tmp_path / "base"), results)
    assert (error.code, error.parameters.get("signal")) == ("check_crashed", "SIGABRT")
    assert "out_of_range" in error.parameters["log"]


def test_infinite_logits_are_found(export: Export, tmp_path: Path, results: Path) -> None:
    """Weights that are finite but compute no numbers are refused."""
    base = make_base(tmp_path / "base")
    give_infinite_logits(base)
    assert refused(export, base, results).code == "check_not_finite"


def test_another_template_is_found(export: Export, base: Path) -> None:
    """The template inside must be the one of the training, to the last character."""
    path = export(base, check=False).path
    with pytest.raises(ApplianceError, match="check_template_differs"):
        checked(CheckRequest(gguf=path, tokenizer=str(base / "tokenizer.json"), template=CHATML + " "))


@pytest.mark.parametrize("template", ["{% for message in", "{{ raise_exception('no') }}", "{{ messages[7].content.x }}"])
def test_a_template_that_does_not_render_is_refused(export: Export, tmp_path: Path, results: Path, template: str) -> None:
    """A chat template that fails on a plain question is told with its reason."""
    base = make_base(tmp_path / "base")
    edited_json(base / "tokenizer_config.json", lambda settings: settings.update(chat_template=template))
    error = refused(export, base, results)
    assert error.code == "check_template_unusable"
    assert "Error" in error.parameters["cause"]


@pytest.mark.parametrize("content", [b"", b"GGUF", b"GGUF\x03\x00\x00\x00" + b"\xff" * 64, b"not a model at all"])
def test_bytes_that_are_no_model_fail_to_load(tmp_path: Path, content: bytes) -> None:
    """Whatever llama.cpp does with them, the answer is an error with its last words."""
    path = tmp_path / "broken.gguf"
    path.write_bytes(content)
    with pytest.raises(ApplianceError) as caught:
        checked(CheckRequest(gguf=str(path), compare_template=False))
    assert caught.value.code in ("check_load_failed", "check_crashed")


def test_damaged_files_never_hurt_the_parent(export: Export, tmp_path: Path, base: Path) -> None:
    """Random damage in the head of a good file either goes unnoticed by a load or is an error here; this process lives on."""
    good = Path(export(base, check=False).path).read_bytes()
    chance = np.random.default_rng(11)
    for number in range(2):
        damaged = bytearray(good)
        for position in chance.integers(8, 6000, 6):
            damaged[position] ^= int(chance.integers(1, 256))
        path = tmp_path / f"damaged{number}"
        path.write_bytes(damaged)
        request = CheckRequest(gguf=str(path), tokenizer=str(base / "tokenizer.json"), compare_template=False)
        with suppress(ApplianceError):
            checked(request)


def test_check_can_be_left_out_and_is_then_recorded_so(export: Export, base: Path) -> None:
    """Without the check the facts say that there was none."""
    assert export(base, check=False).facts["check"] == {"done": False}


def test_probe_texts_are_many_varied_and_always_the_same() -> None:
    """At least 200 different texts with markers, plates of both kinds, emoji, control and combining characters."""
    texts = probe_texts(["<|im_start|>", "<|im_end|>"])
    assert texts == probe_texts(["<|im_start|>", "<|im_end|>"])
    assert len(set(texts)) >= 380
    joined = "\n".join(texts)
    assert all(
        sign in joined for sign in ("<|im_start|>user", "京A12345", "🚦", "\x00", "\x1b[31m", "e\u0301", "\u3000", "\r\n", "信号相位")
    )


def test_the_teaching_base_answers_in_chinese(export: Export) -> None:
    """A model that can talk does: the recorded answer is whole characters of a sentence."""
    answer = export(TEACHING_BASE).facts["check"]["answer"]
    assert "�" not in answer
    assert len(answer) >= 4
    assert all("\u4e00" <= sign <= "\u9fff" or sign in "，。、？！：" for sign in answer)
