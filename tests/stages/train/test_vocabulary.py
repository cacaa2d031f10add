"""Vocabulary expansion: terms become tokens, start as the mean of their pieces, are trained, and are there again after loading."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from appliance.domain.conversation import Conversation
from appliance.domain.errors import ApplianceError
from appliance.domain.event import Notice
from appliance.stages.language_model.device import Device
from appliance.stages.language_model.loading import load_base, load_model, load_tokenizer
from appliance.stages.language_model.loss import mean_loss
from appliance.stages.language_model.new_tokens import add_tokens, start_rows
from appliance.stages.language_model.tokenized_rows import tokenize_rows
from appliance.stages.language_model.tokenizer import tokenizer_folder
from tests.stages.export.tiny_base import make_base
from tests.stages.language_model.tiny import conversation, write_rows
from tests.stages.train.training import Trained

TERMS = ("信号相位差", "可变导向车道", "绿波协调带", "的", "交织区")


def rows(count: int) -> list[Conversation]:
    """Rows full of terms; one term never occurs."""
    return [conversation(f"{number}号路口的信号相位差？", f"绿波协调带{number}，可变导向车道。") for number in range(count)]


@pytest.fixture(scope="module", params=[("qwen2", 9, False), ("qwen2", 0, True), ("llama", 2, False)], ids=["padded", "tied", "grows"])
def base(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Bases with spare rows, with a tied head and none to spare, and with too few."""
    family, padding, tied = request.param
    return make_base(tmp_path_factory.mktemp("base") / family, family, padding=padding, tie_word_embeddings=tied)


def training(base: Path, folder: Path, **recipe: Any) -> Trained:
    """A training with a term list."""
    trained = Trained(base, folder, **{"epochs": 6.0, "dropout": 0.0, **recipe})
    write_rows(Path(trained.spec.train_rows), rows(24))
    write_rows(Path(trained.spec.validation_rows), rows(30)[24:])
    trained.spec = msgspec.structs.replace(trained.spec, terms=TERMS)
    return trained


@pytest.fixture(scope="module")
def trained(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """One training on each base."""
    return training(base, tmp_path_factory.mktemp("trained")).run()


def test_only_split_terms_are_added(base: Path) -> None:
    """New ids follow the old ones, a term that is a token already is left alone, and text with a term has one id for it."""
    tokenizer = load_tokenizer(base)
    tokenizer.backend_tokenizer.add_tokens(["的"])
    before = max(tokenizer.backend_tokenizer.get_vocab().values())
    new = add_tokens(tokenizer, [*TERMS, *TERMS])
    assert list(new.pieces) == [term for term in TERMS if term != "的"]
    assert new.ids == tuple(range(before + 1, before + 5))
    assert tokenizer.backend_tokenizer.encode("在信号相位差内", add_special_tokens=False).ids.count(before + 1) == 1
    assert tokenizer.decode([before + 1]) == "信号相位差"


def test_rows_start_as_the_mean(base: Path, cpu: Device) -> None:
    """Embedding and head of a new token are the mean of its pieces', spare rows come first, and old rows stay as they are."""
    tokenizer, model = load_tokenizer(base), load_base(base, cpu, quantize=False)
    embedding = model.get_input_embeddings().weight.clone()
    new = add_tokens(tokenizer, TERMS)
    start_rows(model, new)
    for matrix in (model.get_input_embeddings().weight, model.get_output_embeddings().weight):
        for number, pieces in zip(new.ids, new.pieces.values(), strict=True):
            assert torch.allclose(matrix[number], matrix[list(pieces)].mean(0), atol=1e-6)
    grown = model.get_input_embeddings().weight
    assert len(grown) == max(len(embedding), new.ids[-1] + 1)
    assert torch.equal(grown[: new.first], embedding[: new.first])
    assert not grown.requires_grad


def test_savings_are_told_first(trained: Trained) -> None:
    """Before the base is loaded a person reads how many terms are new, what they save, and which of them never occur."""
    codes = [event.code for event in trained.of(Notice)]
    told = {event.code: event.parameters for event in trained.of(Notice)}
    facts = trained.artifact.facts
    assert told["terms_added"]["after"] < told["terms_added"]["before"]
    assert (told["terms_added"]["before"], told["terms_added"]["after"]) == (facts["text_tokens_before"], facts["text_tokens"])
    assert told["terms_unseen"] == {"added": facts["new_tokens"], "unseen": 1}  # 交织区
    assert codes.index("terms_added") < codes.index("plan_made")


def test_new_rows_are_trained_and_saved(trained: Trained, base: Path) -> None:
    """The adapter holds the rows of the new tokens as plain peft saves them, and those that occur have moved from where they began."""
    folder = Path(trained.spec.output)
    indices = json.loads((folder / "adapter_config.json").read_text())["trainable_token_indices"]
    tied = json.loads((base / "config.json").read_text())["tie_word_embeddings"]
    assert set(indices) == ({"embed_tokens"} if tied else {"embed_tokens", "lm_head"})
    tensors = load_file(folder / "adapter_model.safetensors")
    names = [name for name in tensors if "token_adapter" in name]
    assert len(names) == len(indices)
    tokenizer = load_tokenizer(base)
    new = add_tokens(tokenizer, TERMS)
    model = load_base(base, Device("cpu", "CPU", torch.float32), quantize=False)
    start_rows(model, new)
    for name in names:
        matrix = model.get_input_embeddings() if "embed_tokens" in name else model.get_output_embeddings()
        moved = (tensors[name] - matrix.weight[list(new.ids)]).abs().amax(1)
        assert tensors[name].dtype == torch.float32
        assert moved[0] > 1e-3  # 信号相位差, in every row
        assert moved[2] > 1e-3  # 绿波协调带, in every answer


def test_all_is_there_after_loading(trained: Trained, base: Path, cpu: Device) -> None:
    """Loaded for examination, and by plain libraries on a base with enough rows, the model predicts as it did at the end of training."""
    folder = Path(trained.spec.output)
    tokenizer = load_tokenizer(tokenizer_folder(base, folder))
    held_out = tokenize_rows(Path(trained.spec.validation_rows), tokenizer, 1024, lambda _event: None)
    expected = pytest.approx(trained.history.validations[-1].loss, rel=1e-5)
    ours = load_model(base, folder, cpu, quantize=True, emit=lambda _event: None)
    assert mean_loss(ours, held_out, cpu).value == expected
    plain = AutoTokenizer.from_pretrained(folder)
    assert plain("绿波协调带", add_special_tokens=False).input_ids == tokenizer("绿波协调带", add_special_tokens=False).input_ids
    assert len(plain("绿波协调带", add_special_tokens=False).input_ids) == 1
    bare = load_base(base, cpu, quantize=True)
    bare.resize_token_embeddings(max(bare.config.vocab_size, len(plain)), mean_resizing=False)
    theirs = PeftModel.from_pretrained(bare, folder)
    assert mean_loss(theirs.get_base_model(), held_out, cpu).value == expected


def test_it_merges(trained: Trained, base: Path) -> None:
    """Merged into a float base, rows and layers give the same logits as the adapter on it."""
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    tokenizer = load_tokenizer(Path(trained.spec.output))
    model.resize_token_embeddings(max(model.config.vocab_size, len(tokenizer)), mean_resizing=False)
    ids = torch.tensor([tokenizer.backend_tokenizer.encode("信号相位差与绿波协调带").ids])
    adapted = PeftModel.from_pretrained(model, trained.spec.output).eval()
    with torch.no_grad():
        before = adapted(input_ids=ids).logits
        assert torch.allclose(adapted.merge_and_unload()(input_ids=ids).logits, before, atol=1e-4)


def test_whole_model_brings_its_words(base: Path, tmp_path: Path, cpu: Device) -> None:
    """Full fine-tuning publishes a model with its new tokens that plain transformers loads."""
    trained = training(base, tmp_path / "t", method="full", learning_rate=0.002, epochs=2.0).run()
    folder = Path(trained.spec.output)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    held_out = tokenize_rows(Path(trained.spec.validation_rows), load_tokenizer(folder), 1024, lambda _event: None)
    model = load_base(folder, cpu, quantize=False)
    assert mean_loss(model, held_out, cpu).value == pytest.approx(trained.history.validations[-1].loss, rel=5e-3)
    assert len(tokenizer("可变导向车道", add_special_tokens=False).input_ids) == 1


def test_methods_without_embeddings_refuse(qwen2: Path, tmp_path: Path) -> None:
    """A method that trains no rows of the embedding refuses a term list before anything is loaded."""
    with pytest.raises(ApplianceError, match="terms_need_other_method"):
        training(qwen2, tmp_path / "t", method="ia3", learning_rate=0.01).run()


def test_known_terms_change_nothing(qwen2: Path, tmp_path: Path) -> None:
    """When every term is a token already, that is said and the tokenizer is the base's."""
    trained = training(qwen2, tmp_path / "t", epochs=1.0)
    trained.spec = msgspec.structs.replace(trained.spec, terms=("a",))
    trained.run()
    assert [event.code for event in trained.of(Notice) if event.code.startswith("terms")] == ["terms_known"]
    assert (Path(trained.spec.output) / "tokenizer.json").read_bytes() == (qwen2 / "tokenizer.json").read_bytes()
