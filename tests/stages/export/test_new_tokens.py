"""Words that a training has added reach the served file: the same ids, the same numbers, whether or not the embedding has grown."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import llama_cpp
import msgspec
import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM

from appliance.domain.errors import ApplianceError
from appliance.domain.recipe import ExportRecipe
from appliance.files.safetensors_header import StoredTensor
from appliance.stages.export.updates import ReplacedRows
from appliance.stages.language_model.device import Device
from appliance.stages.language_model.loading import load_model
from tests.stages.export.conftest import Export
from tests.stages.export.tiny_base import make_adapter, make_base
from tests.stages.language_model.tiny import conversation, write_rows
from tests.stages.train.training import Trained

TERMS = ("信号相位差", "可变导向车道", "绿波协调带", "交织区", "green split", "相位差控制系统")
TEXTS = ("信号相位差控制系统与绿波协调带。", "可变导向车道 green split 交织区", "在交织区，绿波协调带绿波协调带！", "京A12345 的信号相位差")
CPU = Device("cpu", "CPU", torch.float32)
SHAPE: dict[str, Any] = {"hidden_size": 256, "intermediate_size": 512, "num_attention_heads": 8}

BASES: dict[str, tuple[str, dict[str, Any]]] = {
    "padded": ("qwen2", {"padding": 9}),
    "tied and padded": ("qwen3", {"padding": 9, "tie_word_embeddings": True}),
    "tied and grows": ("qwen2", {"padding": 0, "tie_word_embeddings": True}),
    "grows by some": ("llama", {"padding": 2}),
    "SentencePiece grows": ("llama2", {"padding": 0}),
}


@dataclass(frozen=True)
class Tuned:
    """A base and what was trained on it."""

    base: Path
    adapter: Path
    rows_before: int
    added: int


@pytest.fixture(scope="module", params=BASES)
def tuned(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Tuned:
    """A short QLoRA training with a term list, on each kind of base."""
    family, settings = BASES[request.param]
    folder = tmp_path_factory.mktemp("tuned")
    base = make_base(folder / "base", family, **SHAPE, **settings)
    trained = Trained(base, folder / "run", epochs=2.0, dropout=0.0)
    rows = [conversation(f"{number}号路口的信号相位差？", f"绿波协调带{number}，可变导向车道、交织区。") for number in range(20)]
    write_rows(Path(trained.spec.train_rows), rows[:16])
    write_rows(Path(trained.spec.validation_rows), rows[16:])
    trained.spec = msgspec.structs.replace(trained.spec, terms=TERMS)
    trained.run()
    (embedding,) = (tensor for name, tensor in load_file(base / "model.safetensors").items() if "embed_tokens" in name)
    return Tuned(base, Path(trained.spec.output), len(embedding), trained.artifact.facts["new_tokens"])


def served(path: str, texts: tuple[str, ...]) -> tuple[list[list[int]], np.ndarray[Any, Any]]:
    """llama.cpp's ids of texts, and its logits of the first one: (tokens, vocabulary)."""
    exact = llama_cpp.GGML_TYPE_F32
    model = llama_cpp.Llama(path, n_ctx=128, logits_all=True, verbose=False, type_k=exact, type_v=exact)
    ids = [model.tokenize(text.encode(), add_bos=False, special=True) for text in texts]
    model.eval(ids[0])
    found = np.array(model.scores[: len(ids[0])])
    model.close()
    return ids, found


def logits(model: Any, ids: list[int]) -> np.ndarray[Any, Any]:
    """Logits of every position, by transformers: (tokens, vocabulary)."""
    with torch.no_grad():
        found: np.ndarray[Any, Any] = model(input_ids=torch.tensor([ids])).logits[0].float().numpy()
    return found


@pytest.mark.parametrize("into", ["dequantized", "original"])
def test_ids_and_logits_stay_through_export(export: Export, tmp_path: Path, tuned: Tuned, into: Literal["dequantized", "original"]) -> None:
    """Ids of the file are the training tokenizer's, and merged folder and file compute what base and adapter compute."""
    tokenizer = Tokenizer.from_file(str(tuned.adapter / "tokenizer.json"))
    expected_ids = [tokenizer.encode(text, add_special_tokens=False).ids for text in TEXTS]
    assert {number for ids in expected_ids for number in ids} >= set(
        range(tokenizer.get_vocab_size() - tuned.added, tokenizer.get_vocab_size())
    )
    adapted = load_model(tuned.base, tuned.adapter, CPU, quantize=into == "dequantized", emit=lambda _event: None)
    expected = logits(adapted, expected_ids[0])
    recipe = ExportRecipe(merge_into=into)
    merged = export(tuned.base, tuned.adapter, form="merged", output=tmp_path / "merged", recipe=recipe)
    whole = AutoModelForCausalLM.from_pretrained(merged.path, dtype=torch.float32)
    assert whole.config.vocab_size == max(tuned.rows_before, tokenizer.get_vocab_size())
    largest = np.abs(expected).max()
    assert np.abs(logits(whole, expected_ids[0]) - expected).max() <= 0.02 * largest  # the folder is bf16
    exact = export(tuned.base, tuned.adapter, recipe=msgspec.structs.replace(recipe, type="f32"))
    ids, found = served(exact.path, TEXTS)
    assert ids == expected_ids
    assert np.abs(found - expected).max() <= 1e-3 * largest


def test_served_type_knows_the_words(export: Export, tuned: Tuned) -> None:
    """The Q4_K_M file passes its check, answers, and has the training tokenizer's ids; its numbers are near the full-precision ones."""
    tokenizer = Tokenizer.from_file(str(tuned.adapter / "tokenizer.json"))
    small, exact = export(tuned.base, tuned.adapter), export(tuned.base, tuned.adapter, kind="f32")
    assert small.facts["check"]["answer"]
    ids, found = served(small.path, TEXTS)
    assert ids == [tokenizer.encode(text, add_special_tokens=False).ids for text in TEXTS]
    _, expected = served(exact.path, TEXTS)
    assert np.abs(found - expected).mean() <= 0.25 * np.abs(expected).std()


def test_overlapping_terms_are_never_both_tokens(tuned: Tuned) -> None:
    """Of 信号相位差 and 相位差控制系统, which llama.cpp would find in another order, only the first has become a token."""
    words = Tokenizer.from_file(str(tuned.adapter / "tokenizer.json")).get_vocab()
    assert "信号相位差" in words
    assert "相位差控制系统" not in words


def test_rows_far_behind_the_end_are_refused(export: Export, tmp_path: Path) -> None:
    """An adapter that trains a row which neither base nor adapter has is for another base."""
    base = make_base(tmp_path / "base", padding=4)
    rows = len(load_file(base / "model.safetensors")["model.embed_tokens.weight"])
    adapter = make_adapter(tmp_path / "adapter", base, target_modules=["q_proj"], trainable_token_indices=[3, rows - 1])
    config = adapter / "adapter_config.json"
    for number in (rows + 1, 10**15):
        config.write_text(config.read_text().replace(str(rows - 1), str(number)))
        with pytest.raises(ApplianceError, match="adapter_shape_differs"):
            export(base, adapter)
        config.write_text(config.read_text().replace(str(number), str(rows - 1)))


def test_a_matrix_grows_only_by_rows_that_are_given() -> None:
    """Rows behind the end come one after the other; a gap leaves the matrix as it was."""
    values = StoredTensor(Path("x"), "F32", (3, 4), 0, 48)
    assert ReplacedRows((3, 9, 10), values).rows_of(9) == 11
    assert ReplacedRows((3, 9, 11), values).rows_of(9) == 9
    assert ReplacedRows((3, 5, 8), values).rows_of(9) == 9
