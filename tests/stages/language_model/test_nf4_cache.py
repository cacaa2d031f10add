"""Bases in NF4 on disk: the same weights bit for bit, believed only when whole, never in anybody's way."""

from __future__ import annotations

import os
import shutil
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest
import torch

from appliance.domain.event import Event, Notice
from appliance.stages.language_model import loading, nf4_cache, nf4_model
from appliance.stages.language_model.device import Device
from appliance.stages.language_model.loading import load_base
from appliance.stages.language_model.nf4_cache import Nf4Cache, nf4_key
from tests.stages.export.tiny_base import make_base


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """A folder that is not there yet."""
    return tmp_path / "cache" / "nf4"


def entries(cache: Path) -> list[str]:
    """Names of all that lies in the cache."""
    return sorted(path.name for path in cache.iterdir())


def refuse_to_quantize(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail when a base is quantized."""
    monkeypatch.setattr(loading, "BitsAndBytesConfig", None)


def equal(first: Any, second: Any) -> bool:
    """Whether two models have the same tensors, quantization states among them, bit for bit."""
    ours, theirs = first.state_dict(), second.state_dict()
    return ours.keys() == theirs.keys() and all(
        tensor.dtype == theirs[name].dtype and torch.equal(tensor, theirs[name]) for name, tensor in ours.items()
    )


def test_second_load_is_bit_equal(base: Path, cpu: Device, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second load quantizes nothing and gives the same weights and the same logits, and knows where its base is."""
    first = load_base(base, cpu, quantize=True, cache=cache)
    refuse_to_quantize(monkeypatch)
    second = load_base(base, cpu, quantize=True, cache=cache)
    assert equal(first, second)
    ids = torch.arange(1, 33)[None]
    with torch.no_grad():
        assert torch.equal(first(input_ids=ids).logits, second(input_ids=ids).logits)
    assert second.name_or_path == second.config._name_or_path == str(base)
    assert second.dtype == first.dtype == torch.float32


def test_quick_way_gives_the_same_model(base: Path, cpu: Device, cache: Path) -> None:
    """An entry loaded by putting its tensors in place is what transformers loads, with its buffers, settings and kinds of layers."""
    load_base(base, cpu, quantize=True, cache=cache)
    (entry,) = cache.iterdir()
    quick, ordinary = (loading._as_if_quantized_here(load(entry, cpu), base, cpu) for load in (loading._load_in_place, loading._load))
    assert equal(quick, ordinary)
    buffers = dict(ordinary.named_buffers())
    assert {name: (value.dtype, value.tolist()) for name, value in quick.named_buffers()} == {
        name: (value.dtype, value.tolist()) for name, value in buffers.items()
    }
    assert [type(module) for module in quick.modules()] == [type(module) for module in ordinary.modules()]
    assert quick.config.to_dict() == ordinary.config.to_dict()
    assert quick.is_loaded_in_4bit and quick.hf_quantizer.pre_quantized
    assert vars(quick).keys() ^ vars(ordinary).keys() <= {"_weight_conversions"}  # made again where it is needed


def test_without_the_quick_way_it_loads_all_the_same(qwen2: Path, cpu: Device, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When putting tensors in place fails, transformers loads the entry, with its own functions back, and nothing is quantized."""
    first = load_base(qwen2, cpu, quantize=True, cache=cache)
    refuse_to_quantize(monkeypatch)

    def fail(*_: object) -> None:
        raise ValueError("not the tensors of this model")

    monkeypatch.setattr(nf4_model, "_put_in_place", fail)
    assert equal(load_base(qwen2, cpu, quantize=True, cache=cache), first)


def test_tied_head_stays_tied(tmp_path: Path, cpu: Device, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A head that is the embedding is kept once and is the embedding afterwards; bfloat16 weights are kept as such."""
    base = make_base(tmp_path / "base", "qwen2", tie_word_embeddings=True)
    load_base(base, cpu, quantize=True, cache=cache)
    refuse_to_quantize(monkeypatch)
    model = load_base(base, cpu, quantize=True, cache=cache)
    assert model.get_output_embeddings().weight is model.get_input_embeddings().weight
    (entry,) = cache.iterdir()
    assert (entry / "model.safetensors").stat().st_size < (base / "model.safetensors").stat().st_size


@pytest.mark.parametrize("damage", ["flip", "cut", "remove", "manifest"])
def test_damaged_entry_is_made_again(qwen2: Path, cpu: Device, cache: Path, damage: str) -> None:
    """One changed byte, a missing half or a missing file: the entry is not believed, the base is quantized and kept anew."""
    first = load_base(qwen2, cpu, quantize=True, cache=cache)
    (entry,) = cache.iterdir()
    weights = entry / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-7] ^= 1
    match damage:
        case "flip":
            weights.write_bytes(content)
        case "cut":
            weights.write_bytes(content[: len(content) // 2])
        case "remove":
            (entry / "config.json").unlink()
        case _:
            (entry / "manifest.json").write_text("{}")
    key = nf4_key(qwen2, cpu)
    assert not is_whole(cache, key)
    assert equal(load_base(qwen2, cpu, quantize=True, cache=cache), first)
    assert entries(cache) == [key]
    assert is_whole(cache, key)


def is_whole(cache: Path, key: str) -> bool:
    """Whether a load would believe an entry."""
    entry = Nf4Cache(cache).find(key)
    return entry is not None and entry.is_whole()


def test_key_follows_the_base(qwen2: Path, cpu: Device, tmp_path: Path) -> None:
    """Another byte in the weights, another config or another arithmetic is another entry."""
    folder = tmp_path / "base"
    shutil.copytree(qwen2, folder)
    keys = {nf4_key(folder, cpu), nf4_key(folder, Device("cpu", "CPU", torch.bfloat16))}
    weights = folder / "model.safetensors"
    state, content = weights.stat(), bytearray(weights.read_bytes())
    content[-3] ^= 1
    weights.write_bytes(content)
    os.utime(weights, ns=(state.st_atime_ns, state.st_mtime_ns))
    keys.add(nf4_key(folder, cpu))
    (folder / "config.json").write_text((folder / "config.json").read_text() + "\n")
    assert len(keys | {nf4_key(folder, cpu)}) == 4


def test_oldest_entries_go(qwen2: Path, cpu: Device, cache: Path, tmp_path: Path) -> None:
    """What was used longest ago makes room for what is new; what nobody finished goes after a day."""
    model = load_base(qwen2, cpu, quantize=True)
    kept = Nf4Cache(cache, largest=10 << 20)
    for number, key in enumerate("abc"):
        kept.put(key, model, qwen2)
        os.utime(cache / key, (number, number))
    (cache / "old.partial").mkdir()
    os.utime(cache / "old.partial", (0, 0))
    assert kept.find("a") is not None  # and so the newest now
    size = sum(path.stat().st_size for path in (cache / "a").iterdir())
    Nf4Cache(cache, largest=3 * size).put("d", model, qwen2)
    assert entries(cache) == ["a", "c", "d"]


def test_full_disk_only_costs_time(qwen2: Path, cpu: Device, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without room, or on an error while writing, the base is there all the same, and it is told."""
    events: list[Event] = []
    monkeypatch.setattr(nf4_cache, "KEEP_FREE", 1 << 60)
    load_base(qwen2, cpu, quantize=True, cache=cache, emit=events.append)
    monkeypatch.undo()

    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(nf4_cache, "save_file", fail)
    load_base(qwen2, cpu, quantize=True, cache=cache, emit=events.append)
    assert [event.code for event in events if isinstance(event, Notice)] == ["nf4_without_room", "nf4_not_kept"]
    assert entries(cache) == []


def _load_in_child(base: Path, cache: Path) -> None:
    load_base(base, Device("cpu", "CPU", torch.float32), quantize=True, cache=cache)


def test_two_writers_do_not_meet(qwen2: Path, cpu: Device, cache: Path) -> None:
    """Two processes that quantize the same base at once leave one whole entry."""
    context = get_context("spawn")
    children = [context.Process(target=_load_in_child, args=(qwen2, cache)) for _ in range(2)]
    for child in children:
        child.start()
    for child in children:
        child.join()
    assert [child.exitcode for child in children] == [0, 0]
    assert entries(cache) == [nf4_key(qwen2, cpu)]
    assert Nf4Cache(cache).find(nf4_key(qwen2, cpu)) is not None
