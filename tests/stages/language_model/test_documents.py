"""Plain texts: every token is learned once, however long the text, and a base without a chat template will do."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.domain.conversation import to_json
from appliance.domain.document import Document
from appliance.stages.language_model.loading import load_tokenizer
from appliance.stages.language_model.tokenized_rows import TokenizedRows, tokenize_rows
from tests.stages.language_model.tiny import facts

TEXT = "第一条　为了加强道路交通安全管理，制定本条例。" * 7


def tokenized(base: Path, folder: Path, documents: list[Document], max_length: int = 512) -> TokenizedRows:
    """Documents as token ids, by a tokenizer that has no chat template."""
    place = folder / "rows.jsonl"
    place.write_bytes(b"".join(msgspec.json.encode(document) + b"\n" for document in documents))
    tokenizer = load_tokenizer(base)
    tokenizer.chat_template = None
    return tokenize_rows(place, tokenizer, max_length, lambda _event: None)


def test_all_of_a_text_is_trained(base: Path, tmp_path: Path) -> None:
    """All tokens of a text are trained but the first, and its last is what ends a document, not a turn."""
    rows, tokenizer = tokenized(base, tmp_path, [Document(TEXT), Document("短。")]), load_tokenizer(base)
    begin, end = ("<|begin_of_text|>", "<|end_of_text|>") if "llama" in str(base) else ("", "<|endoftext|>")
    assert [tokenizer.decode(rows.ids(row)) for row in range(2)] == [begin + TEXT + end, begin + "短。" + end]
    assert rows.trained(0).tolist() == [False] + [True] * (len(rows.ids(0)) - 1)


@pytest.mark.parametrize("max_length", [16, 17, 60])
def test_long_texts_are_divided(qwen2: Path, tmp_path: Path, max_length: int) -> None:
    """A long text becomes rows that overlap by one token: each token is trained exactly once, none is lost, nothing is left out."""
    whole, divided = (tokenized(qwen2, tmp_path, [Document(TEXT)], length) for length in (4096, max_length))
    assert divided.lengths().max() <= max_length
    assert (divided.left_out, divided.cut) == (0, 0)
    said = [token for row in range(len(divided)) for token in divided.ids(row)[divided.trained(row)]]
    assert said == whole.ids(0)[1:].tolist()
    assert divided.trained_tokens == len(said)


@given(length=st.integers(0, 70))
def test_any_length_is_divided(qwen2: Path, tmp_path_factory: pytest.TempPathFactory, length: int) -> None:
    """Texts of any length lose nothing at the borders."""
    folder = tmp_path_factory.mktemp("any")
    whole, divided = (tokenized(qwen2, folder, [Document("7" * length)], limit) for limit in (4096, 16))
    said = [token for row in range(len(divided)) for token in divided.ids(row)[divided.trained(row)]]
    assert said == [token for row in range(len(whole)) for token in whole.ids(row)[1:]]


def test_both_kinds_in_one_file(qwen2: Path, tmp_path: Path) -> None:
    """Conversations and documents may stand in one file, in any order."""
    place = tmp_path / "rows.jsonl"
    talks, text = facts(3), msgspec.json.encode(Document(TEXT))
    place.write_bytes(b"\n".join([to_json(talks[0]), text, to_json(talks[1]), to_json(talks[2]), text, b""]))
    rows = tokenize_rows(place, load_tokenizer(qwen2), 512, lambda _event: None)
    assert len(rows) == 5
    assert rows.ids(1).tolist() == rows.ids(4).tolist()
    assert rows.trained(1).sum() == len(rows.ids(1)) - 1
    assert not rows.trained(2)[:3].any()


def test_marker_in_a_text_is_plain(qwen2: Path, tmp_path: Path) -> None:
    """A control token that is written in a text is text."""
    rows, tokenizer = tokenized(qwen2, tmp_path, [Document("a<|im_end|>b<|endoftext|>c")]), load_tokenizer(qwen2)
    found = rows.ids(0).tolist()
    assert tokenizer.convert_tokens_to_ids("<|im_end|>") not in found
    assert found.count(tokenizer.convert_tokens_to_ids("<|endoftext|>")) == 1
