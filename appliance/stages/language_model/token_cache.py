"""Tokenized rows on disk, so that the next training on the same rows starts at once.

An entry is one safetensors file, named by a hash of all that decides the tokens: the rows, the tokenizer with its added tokens, the chat
template, the longest length, what happens to longer rows, whether they are pairs, and the program's version. Its metadata hold a checksum
of its contents, and an entry that does not fit it is made anew. It is written under a name of its own and renamed, so writers never meet;
the entries that were used longest ago go when all together are too large. Which rows share a pack follows from the seed within
milliseconds and is not kept.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from appliance import __version__
from appliance.domain.event import Emit, Notice, Progress, Started
from appliance.files.checksum import file_sha256
from appliance.files.publish import PARTIAL, sync_file
from appliance.stages.language_model.tokenized_rows import LongRows, TokenizedRows, tokenize_rows

LARGEST = 4 << 30
"""Bytes of all entries together."""
_ABANDONED = 24 * 3600
"""Seconds after which a file that nobody finished is removed."""
_SUFFIX = ".safetensors"
_ARRAYS = {"ids": np.int32, "trained": np.bool_, "ends": np.int64}
_COUNTS = ("too_long", "cut", "untrained")


class TokenCache:
    """A folder of tokenized rows."""

    def __init__(self, folder: Path, largest: int = LARGEST) -> None:
        self._folder = folder
        self._largest = largest

    def get(self, key: str) -> TokenizedRows | None:
        """What was put under a key, if it is there and whole."""
        place = self._folder / (key + _SUFFIX)
        try:
            with safe_open(place, framework="numpy") as file:
                told = file.metadata()
                arrays = [file.get_tensor(name) for name in _ARRAYS]
            if told["sha256"] != _digest(arrays):
                return None
            os.utime(place)  # eviction looks here
            return TokenizedRows(*arrays, *(int(told[name]) for name in _COUNTS))
        except (OSError, SafetensorError, KeyError, TypeError, ValueError):
            return None

    def put(self, key: str, rows: TokenizedRows) -> None:
        """Keep rows; raises OSError when the disk does not take them."""
        self._folder.mkdir(parents=True, exist_ok=True)
        arrays = (rows.flat_ids, rows.flat_trained, rows.ends)
        told = {"sha256": _digest(arrays), **{name: str(getattr(rows, name)) for name in _COUNTS}}
        descriptor, name = tempfile.mkstemp(dir=self._folder, prefix=key, suffix=PARTIAL)
        os.close(descriptor)
        partial = Path(name)
        try:
            save_file(dict(zip(_ARRAYS, arrays, strict=True)), partial, metadata=told)
            sync_file(partial)
            partial.replace(self._folder / (key + _SUFFIX))
        finally:
            partial.unlink(missing_ok=True)
        self._make_room()

    def _make_room(self) -> None:
        """Remove what was used longest ago until the rest is small enough; another writer may do the same at this moment."""
        found = []
        for path in self._folder.iterdir():
            with contextlib.suppress(FileNotFoundError):
                state = path.stat()
                if path.suffix == _SUFFIX:
                    found.append((state.st_mtime, state.st_size, path))
                elif path.suffix == PARTIAL and time.time() - state.st_mtime > _ABANDONED:
                    path.unlink()
        total = sum(size for _, size, _ in found)
        for _, size, path in sorted(found)[:-1]:
            if total <= self._largest:
                return
            path.unlink(missing_ok=True)
            total -= size


def cached_rows(
    path: Path, tokenizer: Any, max_length: int, emit: Emit, long_rows: LongRows = "leave_out", cache: TokenCache | None = None
) -> TokenizedRows:
    """What ``tokenize_rows`` gives, from the cache where it is there."""

    def tokenized() -> TokenizedRows:
        return tokenize_rows(path, tokenizer, max_length, emit, long_rows)

    if cache is None or not path.is_file():
        return tokenized()
    return kept_rows(path, tokens_key(path, tokenizer, max_length, long_rows), tokenized, emit, cache)


def kept_rows(path: Path, key: str, tokenized: Callable[[], TokenizedRows], emit: Emit, cache: TokenCache) -> TokenizedRows:
    """What the cache has under a key, or else what ``tokenized`` makes of the file, for the next time."""
    known = cache.get(key)
    if known is not None:
        size = path.stat().st_size
        emit(Started(size, "bytes", "tokenize"))
        emit(Progress(size))
        return known
    rows = tokenized()
    try:
        cache.put(key, rows)
    except (OSError, SafetensorError) as error:
        # A cache that cannot be written costs time, not a training.
        emit(Notice("warning", "tokens_not_kept", {"reason": str(error)[:200]}))
    return rows


def tokens_key(path: Path, tokenizer: Any, max_length: int, long_rows: LongRows, *, pairs: bool = False) -> str:
    """A hash of all that decides which tokens a file of rows becomes; ``pairs`` says that preferences are read as such."""
    decisive = (
        file_sha256(path),
        tokenizer.backend_tokenizer.to_str(),
        str(tokenizer.chat_template),
        str(sorted((name, str(token)) for name, token in tokenizer.special_tokens_map.items())),
        f"{max_length} {long_rows} {'pairs ' if pairs else ''}{__version__} {version('transformers')} {version('tokenizers')}",
    )
    digest = hashlib.sha256()
    for part in decisive:
        content = part.encode("utf-8", "surrogatepass")
        digest.update(b"%d:" % len(content))
        digest.update(content)
    return digest.hexdigest()


def _digest(arrays: list[NDArray[Any]] | tuple[NDArray[Any], ...]) -> str:
    digest = hashlib.sha256()
    for array, kind in zip(arrays, _ARRAYS.values(), strict=True):
        if array.dtype != kind:
            return ""
        digest.update(b"%d:" % array.size)
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()
