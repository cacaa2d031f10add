"""A GGUF header is read without being believed: what is sound is told, what lies is refused with the lie, quickly and in little memory."""

from __future__ import annotations

import ctypes
import importlib.util
import random
import struct
import tracemalloc
from pathlib import Path

import pytest

from appliance.domain.errors import ApplianceError
from appliance.files.gguf_header import TENSOR_TYPES, read_gguf
from appliance.texts.speech import explain
from tests.files.gguf_bytes import ARRAY, PAIRS, STRING, header, pair, sound, strings, tensor, text

HUGE = (1 << 63) - 1


def problem(path: Path, raw: bytes) -> str:
    """The code of the one problem that a file is refused for; it has words."""
    path.write_bytes(raw)
    with pytest.raises(ApplianceError) as caught:
        read_gguf(path)
    if caught.value.code != "gguf_broken":
        return caught.value.code
    (found,) = caught.value.parameters["problems"]
    assert found["code"] not in explain(caught.value, "en")[0]
    return str(found["code"])


def test_a_sound_header_is_told(tmp_path: Path) -> None:
    """Values, lengths of arrays and tensors come out as they went in."""
    path = tmp_path / "a.gguf"
    path.write_bytes(sound())
    found = read_gguf(path)
    assert found.values == {"general.architecture": "qwen2", "general.name": "纸"}
    assert found.array_lengths == {"tokenizer.ggml.tokens": 2}
    (stored,) = found.tensors
    assert (stored.name, stored.type, stored.shape, stored.size, stored.elements) == ("token_embd.weight", "F32", (32, 2), 256, 64)
    assert found.data_start + 256 == path.stat().st_size


def test_block_sizes_are_ggmls_own() -> None:
    """Every type that ggml knows has the same block here, and what it has dropped is not here."""
    package = importlib.util.find_spec("llama_cpp")
    assert package is not None and package.submodule_search_locations
    library = ctypes.CDLL(str(Path(package.submodule_search_locations[0]) / "lib" / "libggml-base.so"))
    library.ggml_type_size.restype, library.ggml_blck_size.restype = ctypes.c_size_t, ctypes.c_int64
    kinds = range(max(TENSOR_TYPES) + 1)
    theirs = {kind: (library.ggml_blck_size(kind), library.ggml_type_size(kind)) for kind in kinds if library.ggml_blck_size(kind)}
    assert {kind: block for kind, (_, *block) in TENSOR_TYPES.items()} == {kind: [*block] for kind, block in theirs.items()}


LIES = {
    "no magic": ("gguf_not_one", b"PK\x03\x04"),
    "nothing behind the magic": ("gguf_ends_early", b"GGUF"),
    "version 1": ("gguf_version", header(version=1)),
    "version of the other byte order": ("gguf_version", header(version=3 << 24)),
    "more tensors than a file can hold": ("gguf_counts", b"GGUF" + struct.pack("<IQQ", 3, HUGE, 1)),
    "more values than a file can hold": ("gguf_counts", b"GGUF" + struct.pack("<IQQ", 3, 1, HUGE)),
    "counts that only look small": ("gguf_ends_early", b"GGUF" + struct.pack("<IQQ", 3, 200_000, 60_000)),
    "a key longer than the file": ("gguf_ends_early", header([struct.pack("<Q", HUGE) + b"x"])),
    "a key without a name": ("gguf_key_lies", header([pair("", 1)])),
    "a key twice": ("gguf_key_lies", header([*PAIRS, PAIRS[0]])),
    "a value of no type": ("gguf_key_lies", header([text("a") + struct.pack("<I", 99) + bytes(64)])),
    "a text longer than the file": ("gguf_ends_early", header([text("a") + struct.pack("<IQ", STRING, HUGE)])),
    "an array longer than the file": ("gguf_ends_early", header([text("a") + struct.pack("<IIQ", ARRAY, 12, HUGE)])),
    "an array of texts longer than the file": ("gguf_ends_early", header([text("a") + struct.pack("<IIQ", ARRAY, STRING, 1 << 61)])),
    "an array of arrays": ("gguf_key_lies", header([text("a") + struct.pack("<IIQ", ARRAY, ARRAY, 1) + bytes(64)])),
    "an alignment of 0": ("gguf_key_lies", header([*PAIRS, pair("general.alignment", 0)])),
    "an alignment of 48": ("gguf_key_lies", header([*PAIRS, pair("general.alignment", 48)])),
    "an alignment of 2 GB": ("gguf_key_lies", header([*PAIRS, pair("general.alignment", 1 << 31)])),
    "an alignment that is a text": ("gguf_key_lies", header([*PAIRS, pair("general.alignment", "32")])),
    "a tensor without a name": ("gguf_tensor_lies", header(tensors=[tensor("", (32,))]) + bytes(256)),
    "a tensor with a long name": ("gguf_tensor_lies", header(tensors=[tensor("x" * 64, (32,))]) + bytes(256)),
    "a tensor twice": ("gguf_tensor_lies", header(tensors=[tensor("a", (32,)), tensor("a", (32,), 0, 128)]) + bytes(256)),
    "no dimensions": ("gguf_tensor_lies", header(tensors=[tensor("a", ())]) + bytes(256)),
    "five dimensions": ("gguf_tensor_lies", header(tensors=[tensor("a", (1,) * 5)]) + bytes(256)),
    "a dimension of 0": ("gguf_tensor_lies", header(tensors=[tensor("a", (32, 0))]) + bytes(256)),
    "a shape whose product overflows": ("gguf_tensor_lies", header(tensors=[tensor("a", (1 << 32, 1 << 32))]) + bytes(256)),
    "half a block": ("gguf_tensor_lies", header(tensors=[tensor("a", (128,), 12)]) + bytes(256)),
    "an unknown type": ("gguf_tensor_type", header(tensors=[tensor("a", (32,), 4)]) + bytes(256)),
    "a tensor before the data": ("gguf_tensor_lies", header(tensors=[tensor("a", (32,), 0, HUGE)]) + bytes(256)),
    "tensors over each other": ("gguf_tensor_lies", header(tensors=[tensor("a", (32,)), tensor("b", (32,), 0, 32)]) + bytes(256)),
    "one byte less": ("gguf_truncated", sound()[:-1]),
    "a header alone": ("gguf_truncated", header()),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_is_refused_by_name(lie: str, tmp_path: Path) -> None:
    """Each crafted file meets the refusal that fits it."""
    code, raw = LIES[lie]
    assert problem(tmp_path / "a.gguf", raw) == code


def test_no_lying_count_costs_memory(tmp_path: Path) -> None:
    """Whatever a header claims, reading it takes less than a few megabytes."""
    path = tmp_path / "a.gguf"
    tracemalloc.start()
    try:
        for code, raw in LIES.values():
            assert problem(path, raw) == code
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4 << 20


def test_every_cut_is_seen(tmp_path: Path) -> None:
    """A file that ends anywhere before its end is refused."""
    raw = sound()
    for length in range(len(raw)):
        assert problem(tmp_path / "a.gguf", raw[:length]) in ("gguf_not_one", "gguf_ends_early", "gguf_truncated")


def test_random_changes_are_refused_or_harmless(tmp_path: Path) -> None:
    """Of 500 headers with random bytes changed, each is read or refused; nothing else is raised."""
    draw, path = random.Random(7), tmp_path / "a.gguf"
    raw = header([*PAIRS, strings("tokenizer.ggml.merges", ["a b"] * 20)], [tensor(f"blk.{n}", (32,), 0, 128 * n) for n in range(8)])
    refused = 0
    for _ in range(500):
        changed = bytearray(raw + bytes(1024))
        for _ in range(draw.choice((1, 1, 2, 8))):
            changed[draw.randrange(len(raw))] = draw.choice((0, 1, 0x7F, 0x80, 0xFF, draw.randrange(256)))
        path.write_bytes(changed)
        try:
            read_gguf(path)
        except ApplianceError:
            refused += 1
    assert 150 < refused < 500
