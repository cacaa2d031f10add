"""SentencePiece's kind of tokenizer: the same ids in llama.cpp, whatever rule of spaces; broken files are told."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from appliance.domain.errors import ApplianceError
from appliance.files.sentencepiece_model import BPE, read_sentencepiece
from appliance.stages.export.sentencepiece import scores, sender
from appliance.stages.export.vocabulary import read_vocabulary
from tests.stages.export.conftest import Export
from tests.stages.export.sentencepiece_tokenizer import definition, sentencepiece_model
from tests.stages.export.tiny_base import make_base

_SOUND = sentencepiece_model(definition(("a b",), "always", 262))
TEXTS = ("信号相位 绿波带 早高峰", "the green wave the common phase", "京A12345 at 08:30")


@pytest.fixture(scope="module")
def told() -> dict[str, Any]:
    """A definition with llama.cpp's own rule of spaces."""
    return definition(TEXTS, "always", 420)


@pytest.mark.parametrize("rule", ["always", "first", "never"])
@pytest.mark.parametrize("with_model", [False, True])
def test_ids_are_the_training_tokenizers(export: Export, tmp_path: Path, rule: str, with_model: bool) -> None:
    """Each rule of spaces passes the check over 400 texts, with scores from the merges and from ``tokenizer.model``."""
    base = make_base(tmp_path / "base", "llama2", padding=800)
    changed = definition(TEXTS, rule, 420)
    (base / "tokenizer.json").write_text(json.dumps(changed), "utf-8")
    if with_model:
        (base / "tokenizer.model").write_bytes(sentencepiece_model(changed))
    check = export(base, kind="q8_0").facts["check"]
    assert (check["strings"], check["mismatches"]) == (400, 0)


def test_scores_order_tokens_as_the_merges_do(told: dict[str, Any], tmp_path: Path) -> None:
    """The earlier a merge makes a token, the higher its score; a ``tokenizer.model`` with the same pieces says the same."""
    tokens = sorted(told["model"]["vocab"], key=told["model"]["vocab"].get)
    ranked = scores(told, tokens, tmp_path)
    made = [told["model"]["vocab"]["".join(pair)] for pair in told["model"]["merges"]]
    assert [ranked[number] for number in made] == sorted((ranked[number] for number in made), reverse=True)
    (tmp_path / "tokenizer.model").write_bytes(sentencepiece_model(told))
    assert [scores(told, tokens, tmp_path)[number] for number in made] == [ranked[number] for number in made]


def test_a_model_of_another_vocabulary_is_not_believed(told: dict[str, Any], tmp_path: Path) -> None:
    """What trains is ``tokenizer.json``; a ``tokenizer.model`` with other pieces changes nothing."""
    tokens = sorted(told["model"]["vocab"], key=told["model"]["vocab"].get)
    ranked = scores(told, tokens, tmp_path)
    (tmp_path / "tokenizer.model").write_bytes(sentencepiece_model(definition(("other words here",), "always", 300)))
    assert scores(told, tokens, tmp_path) == ranked


def metaspace(**changes: Any) -> Callable[[dict[str, Any]], None]:
    """Cut at spaces in some other way."""
    step = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": False, **changes}
    return lambda told: told.update(normalizer=None, pre_tokenizer=step)


def without_byte(told: dict[str, Any]) -> None:
    """Take a byte away."""
    del told["model"]["vocab"]["<0x0A>"]


@pytest.mark.parametrize(
    ("change", "part"),
    [
        (metaspace(prepend_scheme="always"), "Metaspace always"),
        (metaspace(split=True), "Metaspace first"),
        (metaspace(replacement="_"), "Metaspace first"),
        (lambda told: told.update(normalizer={"type": "NFKC"}), "NFKC"),
        (without_byte, "byte_fallback - <0x0A>"),
    ],
)
def test_what_llama_cpp_cannot_do_is_refused_before_writing(
    told: dict[str, Any], tmp_path: Path, change: Callable[[dict[str, Any]], None], part: str
) -> None:
    """Rules of spaces that llama.cpp lacks, and byte tokens whose absence would abort it, are named."""
    changed = json.loads(json.dumps(told))
    change(changed)
    (tmp_path / "tokenizer.json").write_text(json.dumps(changed), "utf-8")
    with pytest.raises(ApplianceError) as caught:
        read_vocabulary(tmp_path, 600)
    assert (caught.value.code, caught.value.parameters["part"]) == ("tokenizer_unsupported", part)


@pytest.mark.parametrize("place", ["added token", "vocabulary"])
def test_holes_in_the_ids_are_refused(told: dict[str, Any], tmp_path: Path, place: str) -> None:
    """The tokenizer's library would count added tokens on without the gap: the missing id and the token behind it are named."""
    changed = json.loads(json.dumps(told))
    if place == "added token":
        changed["added_tokens"].append({**changed["added_tokens"][-1], "content": "<new>", "id": 450})
    else:
        changed["model"]["vocab"] = {token: number for token, number in changed["model"]["vocab"].items() if number != 300}
    (tmp_path / "tokenizer.json").write_text(json.dumps(changed), "utf-8")
    with pytest.raises(ApplianceError) as caught:
        read_vocabulary(tmp_path, 600)
    expected = len(told["model"]["vocab"]) if place == "added token" else 300
    assert (caught.value.code, caught.value.parameters["id"]) == ("tokenizer_has_holes", expected)


def test_two_tokens_of_one_id_are_refused(told: dict[str, Any], tmp_path: Path) -> None:
    """Both are named."""
    changed = {**told, "model": {**told["model"], "vocab": {**told["model"]["vocab"], "zz": 300}}}
    (tmp_path / "tokenizer.json").write_text(json.dumps(changed), "utf-8")
    with pytest.raises(ApplianceError) as caught:
        read_vocabulary(tmp_path, 600)
    assert (caught.value.code, caught.value.parameters["id"]) == ("tokenizer_id_twice", 300)


def test_sender_adds_the_space_that_llama_cpp_does_not(told: dict[str, Any]) -> None:
    """Only where text begins without a marker and without a space."""
    first = sender(definition(TEXTS, "first", 420))
    assert [first(text) for text in ("", "路口", " 路口", "<s>路口")] == ["", " 路口", " 路口", "<s>路口"]
    assert sender(told)("路口") == "路口"


def test_model_file_is_read_as_it_was_written(told: dict[str, Any], tmp_path: Path) -> None:
    """Pieces in order with scores and kinds, and the settings that decide about ids."""
    path = tmp_path / "tokenizer.model"
    path.write_bytes(sentencepiece_model(told, adds_space=False, charsmap=b"\x01"))
    found = read_sentencepiece(path)
    tokenizer = Tokenizer.from_str(json.dumps(told))
    assert [piece.text for piece in found.pieces] == [tokenizer.id_to_token(number) for number in range(len(found.pieces))]
    assert [found.pieces[number].kind for number in (0, 1, 3)] == [2, 3, 6]
    assert (found.model_type, found.byte_fallback, found.adds_prefix_space) == (BPE, True, False)
    assert (found.rewrites_characters, found.removes_extra_spaces) == (True, False)


@given(raw=st.binary(max_size=200), cut=st.integers(0, 3000))
def test_bytes_that_are_no_model_are_refused(tmp_path_factory: pytest.TempPathFactory, raw: bytes, cut: int) -> None:
    """Whatever the bytes, the answer is a model or an error of ours."""
    path = tmp_path_factory.getbasetemp() / "broken.model"
    path.write_bytes(_SOUND[:cut] + raw)
    with suppress(ApplianceError):
        assert read_sentencepiece(path).pieces
