"""The cache of tokenized rows: the same rows as fresh ones, believed only when whole, never too large, never in the way."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from appliance.domain.event import Event, Notice, Started
from appliance.stages.language_model import token_cache
from appliance.stages.language_model.loading import load_tokenizer
from appliance.stages.language_model.token_cache import TokenCache, cached_rows, tokens_key
from appliance.stages.language_model.tokenized_rows import TokenizedRows, tokenize_rows
from tests.stages.language_model.tiny import facts, write_rows


@pytest.fixture
def tokenizer(qwen2: Path) -> Any:
    """A tokenizer of its own for every test."""
    return load_tokenizer(qwen2)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A file of rows."""
    return write_rows(tmp_path / "rows.jsonl", facts(12))


def assert_same(first: TokenizedRows, second: TokenizedRows) -> None:
    """Both hold the same rows and have left out the same ones."""
    for name in ("flat_ids", "flat_trained", "ends"):
        assert np.array_equal(getattr(first, name), getattr(second, name))
        assert getattr(first, name).dtype == getattr(second, name).dtype
    assert (first.too_long, first.cut, first.untrained) == (second.too_long, second.cut, second.untrained)


def entries(folder: Path) -> list[Path]:
    """All that lies in the cache."""
    return sorted(folder.iterdir())


def test_second_time_nothing_is_tokenized(source: Path, tokenizer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second time the same rows come from the cache, with their counts, and progress is told as ever."""
    cache, events = TokenCache(tmp_path / "cache"), list[Event]()
    fresh = cached_rows(source, tokenizer, 60, lambda _event: None, cache=cache)
    monkeypatch.setattr(token_cache, "tokenize_rows", lambda *_arguments: pytest.fail("tokenized again"))
    again = cached_rows(source, tokenizer, 60, events.append, cache=cache)
    assert_same(fresh, again)
    assert fresh.too_long > 0
    assert isinstance(events[0], Started) and events[0].what == "tokenize"
    assert [path.suffix for path in entries(tmp_path / "cache")] == [".safetensors"]


def test_whatever_decides_the_tokens_is_in_the_key(source: Path, tokenizer: Any, tmp_path: Path) -> None:
    """Other rows, another length, policy, template or tokenizer: another key."""
    keys = [tokens_key(source, tokenizer, 60, "leave_out"), tokens_key(source, tokenizer, 61, "leave_out")]
    keys += [
        tokens_key(source, tokenizer, 60, "cut"),
        tokens_key(write_rows(tmp_path / "other.jsonl", facts(13)), tokenizer, 60, "leave_out"),
    ]
    assert tokens_key(source, tokenizer, 60, "leave_out") == keys[0]
    tokenizer.chat_template += "\n"
    keys.append(tokens_key(source, tokenizer, 60, "leave_out"))
    tokenizer.add_tokens(["绿波带"])
    keys.append(tokens_key(source, tokenizer, 60, "leave_out"))
    assert len(set(keys)) == 6


@pytest.mark.parametrize("way", ["cut", "flipped", "empty", "foreign", "folder"])
def test_damaged_entries_are_not_believed(source: Path, tokenizer: Any, tmp_path: Path, way: str) -> None:
    """An entry that is cut, altered or something else is made anew."""
    cache = TokenCache(tmp_path / "cache")
    fresh = cached_rows(source, tokenizer, 512, lambda _event: None, cache=cache)
    (entry,) = entries(tmp_path / "cache")
    content = bytearray(entry.read_bytes())
    if way == "flipped":
        content[-9] ^= 1
    entry.unlink()
    if way == "folder":
        entry.mkdir()
    else:
        entry.write_bytes({"cut": bytes(content[:-5]), "flipped": bytes(content), "empty": b"", "foreign": b"{}" * 200}[way])
    assert cache.get(entry.stem) is None
    assert_same(cached_rows(source, tokenizer, 512, lambda _event: None, cache=cache), fresh)


def test_the_oldest_entries_go(source: Path, tokenizer: Any, tmp_path: Path) -> None:
    """When all entries together are too large, those that were used longest ago are removed; what nobody finished goes after a day."""
    folder = tmp_path / "cache"
    rows = tokenize_rows(source, tokenizer, 512, lambda _event: None)
    roomy = TokenCache(folder)
    roomy.put("a", rows)
    size = entries(folder)[0].stat().st_size
    roomy.put("b", rows)
    (folder / "b123.partial").write_bytes(b"x")
    for name, age in (("a.safetensors", 500), ("b.safetensors", 900), ("b123.partial", 90_000)):
        state = (folder / name).stat()
        os.utime(folder / name, (state.st_mtime - age, state.st_mtime - age))
    assert roomy.get("b") is not None  # used again, so now a is the oldest
    TokenCache(folder, largest=2 * size).put("c", rows)
    assert [path.name for path in entries(folder)] == ["b.safetensors", "c.safetensors"]
    TokenCache(folder, largest=1).put("d", rows)
    assert [path.name for path in entries(folder)] == ["d.safetensors"]


def test_many_writers_at_once(source: Path, tokenizer: Any, tmp_path: Path) -> None:
    """Writers of the same entry never disturb each other or a reader, and leave one whole entry."""
    cache = TokenCache(tmp_path / "cache")
    rows = tokenize_rows(source, tokenizer, 512, lambda _event: None)
    cache.put("k", rows)

    def write_and_read(_number: int) -> None:
        cache.put("k", rows)
        found = cache.get("k")
        assert found is not None
        assert_same(found, rows)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write_and_read, range(80)))
    assert [path.name for path in entries(tmp_path / "cache")] == ["k.safetensors"]


def test_a_cache_that_cannot_be_written_is_told(source: Path, tokenizer: Any, tmp_path: Path) -> None:
    """Where the cache cannot be written the rows are there all the same, and it is told."""
    place, events = tmp_path / "cache", list[Event]()
    place.write_bytes(b"a file is in the way")
    rows = cached_rows(source, tokenizer, 512, events.append, cache=TokenCache(place))
    assert len(rows) == 12
    assert [event.code for event in events if isinstance(event, Notice)] == ["tokens_not_kept"]
