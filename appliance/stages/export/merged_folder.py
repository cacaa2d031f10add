"""The merged model as a folder that transformers loads: shards of safetensors written piece by piece, and the base's words beside them.

Format (huggingface/safetensors): 8 bytes little-endian length, JSON header padded with spaces to a multiple of 8, data without gaps.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from appliance.files.safetensors_header import INDEX_FILE, ITEM_BYTES, SINGLE_FILE, tensors_of_folder
from appliance.stages.export.base_weights import WeightReader
from appliance.stages.export.plan import PlannedTensor, Sum
from appliance.stages.export.pouring import poured, stored_bytes

SHARD_BYTES = 5_000_000_000

BASE_WORDS = ("config.json", "generation_config.json")
TOKENIZER_WORDS = (
    "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.json", "merges.txt",
    "tokenizer.model", "chat_template.jinja", "chat_template.json",
)  # fmt: skip
"""What a model needs besides weights; whatever else a base brought (its card, its licence) is not about the merged model."""


def write_merged(
    folder: Path,
    model: Sum,
    planned: list[PlannedTensor],
    reader: WeightReader,
    tell: Callable[[int], None],
    shard_bytes: int = SHARD_BYTES,
) -> None:
    """Fill ``folder``; ``tell`` hears how many bytes of the base have been used so far."""
    _write_words(folder, model)
    shards = _shards(planned, shard_bytes)
    names = (
        [SINGLE_FILE] if len(shards) == 1 else [f"model-{number + 1:05d}-of-{len(shards):05d}.safetensors" for number in range(len(shards))]
    )
    used = 0
    for name, tensors in zip(names, shards, strict=True):
        with (folder / name).open("wb") as file:
            file.write(_header(tensors))
            for _, taken, content in poured(tensors, reader, stored_bytes):
                file.write(content.data)
                used += taken
                tell(used)
    if len(shards) > 1:
        weight_map = {tensor.name: name for name, tensors in zip(names, shards, strict=True) for tensor in tensors}
        index = {"metadata": {"total_size": sum(map(_size, planned))}, "weight_map": weight_map}
        (folder / INDEX_FILE).write_text(json.dumps(index, indent=2) + "\n", "utf-8")


def written_as_planned(folder: Path, planned: list[PlannedTensor]) -> bool:
    """Whether the folder's headers tell of exactly the planned tensors."""
    written = tensors_of_folder(folder)
    return {name: (tensor.dtype, tensor.shape) for name, tensor in written.items()} == {
        tensor.name: (tensor.dtype, tensor.shape) for tensor in planned
    }


def _shards(planned: list[PlannedTensor], shard_bytes: int) -> list[list[PlannedTensor]]:
    shards: list[list[PlannedTensor]] = [[]]
    for tensor in planned:
        if shards[-1] and sum(map(_size, shards[-1])) + _size(tensor) > shard_bytes:
            shards.append([])
        shards[-1].append(tensor)
    return shards


def _header(tensors: list[PlannedTensor]) -> bytes:
    entries: dict[str, object] = {"__metadata__": {"format": "pt"}}
    entries |= dict(_entries(tensors))
    raw = json.dumps(entries, separators=(",", ":")).encode()
    raw += b" " * (-len(raw) % 8)
    return len(raw).to_bytes(8, "little") + raw


def _entries(tensors: list[PlannedTensor]) -> Iterator[tuple[str, dict[str, object]]]:
    reached = 0
    for tensor in tensors:
        size = _size(tensor)
        yield tensor.name, {"dtype": tensor.dtype, "shape": list(tensor.shape), "data_offsets": [reached, reached + size]}
        reached += size


def _size(tensor: PlannedTensor) -> int:
    return tensor.elements * ITEM_BYTES[tensor.dtype]


def _write_words(folder: Path, model: Sum) -> None:
    """The base's configuration with what the adapter has changed of it, and the words of the training."""
    base = model.base
    for name in BASE_WORDS:
        if (base.folder / name).is_file():
            shutil.copyfile(base.folder / name, folder / name)
    changed = {key: value for key, value in model.config.items() if base.config.get(key) != value}
    if changed:
        (folder / "config.json").write_text(json.dumps({**base.config, **changed}, indent=2, ensure_ascii=False) + "\n", "utf-8")
    for name in TOKENIZER_WORDS:
        if (model.words / name).is_file():
            shutil.copyfile(model.words / name, folder / name)
