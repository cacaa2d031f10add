"""The teaching base: it looks like a real base model, stays small, and says what it is."""

import json
import re
import unicodedata
from itertools import islice
from pathlib import Path

import pytest
from safetensors import safe_open
from tokenizers import Tokenizer, pre_tokenizers

from appliance.demo import base_folder
from scripts.teaching.pretrain import ROPE_THETA, Plan, batches, empty_model
from scripts.teaching.records import city_names
from scripts.teaching.text import chatml, documents
from scripts.teaching.tokenizer import CHAT_TEMPLATE, train_tokenizer

BASE = base_folder()
QWEN2_REGEX = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
"""Written out again on purpose: as published in Qwen2's tokenizer.json and in llama.cpp's table for `qwen2`."""


def read(name: str) -> dict[str, object]:
    """A JSON file of the base folder."""
    fields = json.loads((BASE / name).read_text(encoding="utf-8"))
    assert isinstance(fields, dict)
    return fields


def test_folder_is_complete_and_small() -> None:
    """Everything that a downloaded base has is there, and all of it together is at most 9 MB."""
    names = {path.name for path in BASE.iterdir()}
    assert {"config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "README.md"} <= names
    assert sum(path.stat().st_size for path in BASE.rglob("*")) <= 9_000_000


def test_folder_holds_no_code_and_no_pickle() -> None:
    """The base passes the screening that every base must pass: data files alone, no remote code."""
    assert not [path for path in BASE.rglob("*") if path.suffix in {".py", ".bin", ".pt", ".pkl", ".so"}]
    assert "auto_map" not in read("config.json")


def test_weights_are_qwen2_and_fit_q4_k() -> None:
    """At most 4 M parameters in bf16; every matrix has rows of a multiple of 256, so that Q4_K applies to all of them."""
    config = read("config.json")
    assert config["model_type"] == "qwen2"
    assert config["tie_word_embeddings"] is True
    assert int(str(config["hidden_size"])) % 256 == 0
    with safe_open(BASE / "model.safetensors", framework="pt") as weights:
        slices = {name: weights.get_slice(name) for name in weights.keys()}  # noqa: SIM118  # no mapping
    shapes = {name: part.get_shape() for name, part in slices.items()}
    assert sum(rows[0] * (rows[1] if len(rows) == 2 else 1) for rows in shapes.values()) <= 4_000_000
    assert {part.get_dtype() for part in slices.values()} == {"BF16"}
    assert "lm_head.weight" not in shapes
    assert all(rows[1] % 256 == 0 for rows in shapes.values() if len(rows) == 2)


def test_weights_belong_to_the_configuration() -> None:
    """The stored tensors are exactly those, by name and shape, of a model with this configuration."""
    model = empty_model(Tokenizer.from_file(str(BASE / "tokenizer.json")), 0)
    expected = {name: list(tensor.shape) for name, tensor in model.state_dict().items() if name != "lm_head.weight"}
    with safe_open(BASE / "model.safetensors", framework="pt") as weights:
        stored = {name: weights.get_slice(name).get_shape() for name in weights.keys()}  # noqa: SIM118  # no mapping
    assert stored == expected
    config = read("config.json")
    assert (config["rope_theta"], config["rms_norm_eps"]) == (ROPE_THETA, model.config.rms_norm_eps)


def test_pre_tokenizer_is_qwen2s() -> None:
    """Normalizer, splitting and decoding are Qwen2's, so llama.cpp's `qwen2` pre-tokenizer gives the same ids."""
    tokenizer = read("tokenizer.json")
    assert tokenizer["normalizer"] == {"type": "NFC"}
    split, byte_level = tokenizer["pre_tokenizer"]["pretokenizers"]  # type: ignore[index]  # JSON
    assert split == {"type": "Split", "pattern": {"Regex": QWEN2_REGEX}, "behavior": "Isolated", "invert": False}
    assert (byte_level["type"], byte_level["add_prefix_space"], byte_level["use_regex"]) == ("ByteLevel", False, False)
    assert tokenizer["decoder"]["type"] == "ByteLevel"  # type: ignore[index]  # JSON


def test_every_byte_has_a_token() -> None:
    """All 256 bytes are in the vocabulary: llama.cpp aborts on a text whose byte has no token."""
    tokenizer = Tokenizer.from_file(str(BASE / "tokenizer.json"))
    assert len(pre_tokenizers.ByteLevel.alphabet()) == 256
    assert all(tokenizer.token_to_id(character) is not None for character in pre_tokenizers.ByteLevel.alphabet())


@pytest.mark.parametrize("text", ["荻笛大道的限速是每小时76公里。", "🚦 route №7\r\n\tẞ 龘 e\u0301", "  a  b\n\n<|im_end|>"])
def test_any_text_survives_encoding(text: str) -> None:
    """Text of any script comes back unchanged (in NFC) from its tokens."""
    tokenizer = Tokenizer.from_file(str(BASE / "tokenizer.json"))
    back = tokenizer.decode(tokenizer.encode(text).ids, skip_special_tokens=False)
    assert back == unicodedata.normalize("NFC", text)


def test_ids_are_complete_and_special_tokens_are_last() -> None:
    """Token ids run without a gap up to the embedding's rows, and end of turn is not the padding."""
    tokenizer = Tokenizer.from_file(str(BASE / "tokenizer.json"))
    size = int(str(read("config.json")["vocab_size"]))
    assert sorted(tokenizer.get_vocab().values()) == list(range(size))
    assert [tokenizer.token_to_id(token) for token in ("<|endoftext|>", "<|im_start|>", "<|im_end|>")] == [size - 3, size - 2, size - 1]
    settings = read("tokenizer_config.json")
    assert (settings["eos_token"], settings["pad_token"]) == ("<|im_end|>", "<|endoftext|>")
    assert read("generation_config.json")["eos_token_id"] == [size - 1, size - 3]


def test_chat_template_is_plain_chatml() -> None:
    """The template renders ChatML with the given messages alone, and it is what pre-training wrote."""
    transformers = pytest.importorskip("transformers")
    tokenizer = transformers.AutoTokenizer.from_pretrained(BASE, local_files_only=True, trust_remote_code=False)
    messages = [("system", "简短回答。"), ("user", "你好"), ("assistant", "你好。")]
    asked = [{"role": role, "content": content} for role, content in messages]
    rendered = tokenizer.apply_chat_template(asked, tokenize=False)
    assert rendered == "".join(piece.text for piece in chatml(messages))
    opening = tokenizer.apply_chat_template(asked[1:2], tokenize=False, add_generation_prompt=True)
    assert opening == "<|im_start|>user\n你好<|im_end|>\n<|im_start|>assistant\n"


def test_transformers_gives_the_same_ids() -> None:
    """The tokenizer that training loads and tokenizer.json itself agree on every text of a sample."""
    transformers = pytest.importorskip("transformers")
    loaded = transformers.AutoTokenizer.from_pretrained(BASE, local_files_only=True, trust_remote_code=False)
    plain = Tokenizer.from_file(str(BASE / "tokenizer.json"))
    for pieces in islice(documents(7, city_names()), 50):
        text = "".join(piece.text for piece in pieces) + " it's 12.5 km\r\n"
        assert loaded(text)["input_ids"] == plain.encode(text).ids


def test_tokenizer_files_are_what_the_generator_makes(tmp_path: Path) -> None:
    """Training the tokenizer again gives the same file, byte for byte, and the chat template is the declared one."""
    train_tokenizer().save(str(tmp_path / "tokenizer.json"))
    assert (tmp_path / "tokenizer.json").read_bytes() == (BASE / "tokenizer.json").read_bytes()
    assert read("tokenizer_config.json")["chat_template"] == CHAT_TEMPLATE


def test_text_and_batches_follow_their_seed() -> None:
    """The same seed writes the same text and the same batches; another seed writes others."""
    assert list(islice(documents(5, frozenset()), 20)) == list(islice(documents(5, frozenset()), 20))
    assert list(islice(documents(5, frozenset()), 20)) != list(islice(documents(6, frozenset()), 20))
    tokenizer = Tokenizer.from_file(str(BASE / "tokenizer.json"))
    first, second = (next(batches(tokenizer, Plan(), 5, frozenset())) for _ in range(2))
    assert first.ids.equal(second.ids)
    assert first.weights.equal(second.weights)
    assert first.ids.numel() <= Plan().tokens_per_step


def test_card_says_what_the_model_is() -> None:
    """The card forbids use at work in both languages, gives licence, seed and figures, and names the wordings it met."""
    card = (BASE / "README.md").read_text(encoding="utf-8")
    training = read("training.json")
    assert "不得用于任何工作" in card
    assert "Not for any work" in card
    assert "license: apache-2.0" in card
    assert "Which wordings it has met" in card
    assert f"{training['parameters']:,}" in card
    assert f"seed {training['seed']} " in card
    assert f"{training['final_loss']:.4f}" in card
    assert not re.search(r"\{\w+\}", card)


def test_base_answers_in_pattern_and_stops() -> None:
    """Asked about a road it has never met, the base repeats road and attribute, makes up a value and ends its turn."""
    transformers = pytest.importorskip("transformers")
    import torch

    tokenizer = transformers.AutoTokenizer.from_pretrained(BASE, local_files_only=True, trust_remote_code=False)
    model = transformers.AutoModelForCausalLM.from_pretrained(BASE, local_files_only=True, trust_remote_code=False, dtype=torch.float32)
    opening = tokenizer.apply_chat_template(
        [{"role": "user", "content": "荻岚街的限速是多少？"}], add_generation_prompt=True, return_tensors="pt", return_dict=True
    )
    ids = model.generate(**opening, max_new_tokens=30)[0][opening["input_ids"].shape[1] :].tolist()
    assert ids[-1] == tokenizer.eos_token_id
    assert re.fullmatch(r"荻岚街的限速是每小时\d\d公里。", tokenizer.decode(ids[:-1]))
