"""Reading what a safetensors file says about itself, without a tensor library and without trusting it.

Format (huggingface/safetensors): 8 bytes little-endian length N, N bytes of JSON ``{name: {"dtype", "shape", "data_offsets"}}`` and an
optional ``__metadata__``, then the data; offsets count from the end of the JSON, leave no gap and end with the file.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from appliance.domain.errors import ApplianceError

LARGEST_HEADER = 100 << 20
"""Bytes; the format's own limit."""

INDEX_FILE = "model.safetensors.index.json"
SINGLE_FILE = "model.safetensors"

ITEM_BYTES = {
    "F64": 8, "I64": 8, "U64": 8, "F32": 4, "I32": 4, "U32": 4, "F16": 2, "BF16": 2, "I16": 2, "U16": 2,
    "I8": 1, "U8": 1, "BOOL": 1, "F8_E4M3": 1, "F8_E5M2": 1, "F8_E8M0": 1,
}  # fmt: skip
"""Bytes of one element by the format's name of its type."""


@dataclass(frozen=True)
class StoredTensor:
    """Where one tensor lies."""

    path: Path
    dtype: str
    """A key of ``ITEM_BYTES``."""
    shape: tuple[int, ...]
    start: int
    """Byte offset within the file."""
    size: int
    """Bytes."""

    @property
    def elements(self) -> int:
        """How many numbers it holds."""
        return math.prod(self.shape)


def read_header(path: Path) -> dict[str, StoredTensor]:
    """Every tensor of one file, in the order of its data.

    Raises ``safetensors_truncated`` when the file is shorter than it says, ``safetensors_header_broken`` when the header is not one, and
    ``safetensors_tensor_lies`` with the tensor whose offsets, type or shape contradict each other or the file.
    """
    length = path.stat().st_size
    with path.open("rb") as file:
        prefix = file.read(8)
        header_size = int.from_bytes(prefix, "little")
        if len(prefix) < 8 or header_size > LARGEST_HEADER:
            raise ApplianceError("safetensors_header_broken", path=str(path))
        if 8 + header_size > length:
            raise ApplianceError("safetensors_truncated", path=str(path), expected=8 + header_size, found=length)
        raw = file.read(header_size)
    data_start = 8 + header_size
    tensors = {name: _stored(path, name, entry, data_start) for name, entry in _entries(path, raw).items()}
    _refuse_gaps(path, tensors, data_start, length)
    return dict(sorted(tensors.items(), key=lambda item: item[1].start))


def tensors_of_folder(folder: Path) -> dict[str, StoredTensor]:
    """Every tensor of a base, whether it lies in one file or in shards with an index.

    Raises ``shard_missing`` (with the file that the index names), ``no_safetensors``, ``index_disagrees``, or what ``read_header`` raises.
    """
    index = folder / INDEX_FILE
    if not index.is_file():
        single = folder / SINGLE_FILE
        if not single.is_file():
            raise ApplianceError("no_safetensors", path=str(folder))
        return read_header(single)
    tensors: dict[str, StoredTensor] = {}
    named = _weight_map(index)
    for shard in sorted(set(named.values())):
        path = folder / shard
        if not path.is_file():
            raise ApplianceError("shard_missing", path=str(folder), shard=shard)
        stored = read_header(path)
        tensors |= {name: stored[name] for name, place in named.items() if place == shard and name in stored}
    for name, shard in named.items():
        if name not in tensors:
            raise ApplianceError("index_disagrees", path=str(index), tensor=name, shard=shard)
    return tensors


def _weight_map(index: Path) -> dict[str, str]:
    try:
        named = json.loads(index.read_bytes())["weight_map"]
        # A name with a folder in it could lead anywhere.
        sound = isinstance(named, dict) and all(isinstance(shard, str) and Path(shard).name == shard for shard in named.values())
    except (ValueError, KeyError, TypeError, RecursionError):
        sound = False
    if not sound:
        raise ApplianceError("json_broken", path=str(index))
    return named  # type: ignore[no-any-return]  # a dict of strings, as just checked


def _entries(path: Path, raw: bytes) -> dict[str, Any]:
    try:
        entries = json.loads(raw)
    except (ValueError, RecursionError):
        entries = None
    if not isinstance(entries, dict):
        raise ApplianceError("safetensors_header_broken", path=str(path))
    entries.pop("__metadata__", None)
    return entries


def _stored(path: Path, name: str, entry: Any, data_start: int) -> StoredTensor:
    try:
        dtype, shape, (start, end) = entry["dtype"], tuple(entry["shape"]), entry["data_offsets"]
        whole = all(isinstance(number, int) and not isinstance(number, bool) and number >= 0 for number in (*shape, start, end))
        sound = whole and end - start == math.prod(shape) * ITEM_BYTES[dtype]
    except (KeyError, TypeError, ValueError):
        sound = False
    if not sound:
        raise ApplianceError("safetensors_tensor_lies", path=str(path), tensor=name)
    return StoredTensor(path, dtype, shape, data_start + start, end - start)


def _refuse_gaps(path: Path, tensors: dict[str, StoredTensor], data_start: int, length: int) -> None:
    reached = data_start
    for name, tensor in sorted(tensors.items(), key=lambda item: (item[1].start, item[1].size)):
        if tensor.start != reached:
            raise ApplianceError("safetensors_tensor_lies", path=str(path), tensor=name)
        reached += tensor.size
    if reached > length:
        raise ApplianceError("safetensors_truncated", path=str(path), expected=reached, found=length)
    if reached < length:
        raise ApplianceError("safetensors_header_broken", path=str(path))
