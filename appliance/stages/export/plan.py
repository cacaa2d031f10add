"""What will be written: every tensor of the result with its source, its update and its type, decided before anything is read."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from gguf import GGMLQuantizationType
from numpy.typing import NDArray

from appliance.domain.errors import ApplianceError
from appliance.domain.families import family_of, tensor_problems
from appliance.domain.families.decoder import EMBEDDING, HEAD, head_size
from appliance.domain.family import Family
from appliance.files.base_screening import WEIGHT_DTYPES, read_json_object
from appliance.files.safetensors_header import StoredTensor, tensors_of_folder
from appliance.stages.export.adapter import Adapter, Change, read_adapter
from appliance.stages.export.base_weights import WeightReader, columns_of
from appliance.stages.export.dequantized import opened_base
from appliance.stages.export.quantizer import bytes_of
from appliance.stages.export.type_mix import Architecture, TypeMix, tensor_types
from appliance.stages.export.updates import Update

BLOCK_ELEMENTS = 1 << 21
"""Values in one piece of work: 8 MB as f32, small beside any model and large beside the cost of a call."""


@dataclass(frozen=True)
class Base:
    """A base as its config and headers tell it."""

    folder: Path
    config: dict[str, Any]
    family: Family
    tensors: dict[str, StoredTensor]
    """Those that the family needs, by transformers' name; a stored copy of a tied head is not among them."""


@dataclass(frozen=True)
class SummedTensor:
    """One tensor of base + adapter: where its rows begin and what is done to them."""

    source: StoredTensor
    update: Update | None
    dtype: str
    """Type in a merged folder: the base's own."""
    shape: tuple[int, ...]
    """With rows of new tokens behind the stored ones, where there are any."""


@dataclass(frozen=True)
class Sum:
    """Base + adapter as one model."""

    base: Base
    config: dict[str, Any]
    """The base's, with as many tokens as there are rows now, and untied where the adapter has parted embedding and head."""
    tensors: dict[str, SummedTensor]
    """By transformers' name."""
    files: dict[str, StoredTensor]
    """Everything that will be read, for opening it."""
    words: Path
    """The folder with the tokenizer of the training: the adapter's if it brings one."""
    is_dequantized: bool = False
    """Whether the base's linear layers are taken as a QLoRA training saw them."""

    def opened(self) -> AbstractContextManager[WeightReader]:
        """A reader over all that will be read."""
        modules = self.base.family.linear_modules if self.is_dequantized else ()
        linear = [tensor for name, tensor in self.base.tensors.items() if name.split(".")[-2] in modules and len(tensor.shape) == 2]
        return opened_base(self.files, linear)

    @property
    def stored_bytes(self) -> int:
        """How much will be read."""
        return sum(tensor.source.size for tensor in self.tensors.values())

    @property
    def parameters(self) -> int:
        """How many numbers the model has."""
        return sum(math.prod(tensor.shape) for tensor in self.tensors.values())


@dataclass(frozen=True)
class PlannedTensor:
    """One tensor of the result."""

    name: str
    shape: tuple[int, ...]
    source: StoredTensor | None
    """None for a tensor that is computed, see ``values``."""
    update: Update | None = None
    dtype: str = "F32"
    """Type in a merged folder."""
    kind: GGMLQuantizationType = GGMLQuantizationType.F32
    """Type in the GGUF file."""
    head: int = 0
    """Rows of one attention head when the rows of each must be interleaved, otherwise 0."""
    values: NDArray[np.float32] | None = None

    @cached_property
    def elements(self) -> int:
        """How many numbers it holds."""
        return math.prod(self.shape)

    @property
    def size(self) -> int:
        """Bytes in the GGUF file."""
        return bytes_of(self.kind, self.elements)

    def row_blocks(self) -> Iterator[tuple[int, int]]:
        """(start, stop) of the pieces that are worked on one at a time; heads stay whole."""
        rows = self.shape[0]
        step = max(1, BLOCK_ELEMENTS // columns_of(self.shape))
        if self.head:
            step = max(1, step // self.head) * self.head
        for start in range(0, rows, step):
            yield start, min(start + step, rows)


def read_base(folder: Path) -> Base:
    """A base's config, family and tensors; raises for an unknown family before any weight is looked at, then for what is not whole."""
    config = read_json_object(folder / "config.json")
    family = family_of(config)
    stored = tensors_of_folder(folder)
    problems = tensor_problems(family, config, {name: tensor.shape for name, tensor in stored.items()})
    needed = {name: stored[name] for name in family.tensors(config) if name in stored}
    foreign = [(name, tensor) for name, tensor in needed.items() if tensor.dtype not in WEIGHT_DTYPES]
    problems += [{"code": "dtype_unsupported", "tensor": name, "dtype": tensor.dtype} for name, tensor in foreign]
    if problems:
        raise ApplianceError("base_broken", path=str(folder), count=len(problems), problems=problems[:8])
    return Base(folder, config, family, needed)


def sum_of(base: Base, adapter_folder: Path | None, *, dequantized: bool = False) -> Sum:
    """Base + adapter; without an adapter the base itself, as it is."""
    adapter = Adapter() if adapter_folder is None else read_adapter(adapter_folder, base.tensors)
    sources = dict(base.tensors)
    if adapter.unties:
        sources[HEAD] = base.tensors[EMBEDDING]
    tensors = {}
    for name, source in sources.items():
        change = adapter.changes.get(name, Change())
        tensors[name] = SummedTensor(change.stored or source, change.update, source.dtype, change.shape(source))
    config = {**base.config, "vocab_size": tensors[EMBEDDING].shape[0]}
    if adapter.unties:
        config["tie_word_embeddings"] = False
    brings_words = adapter_folder is not None and (adapter_folder / "tokenizer.json").is_file()
    words = adapter_folder if adapter_folder is not None and brings_words else base.folder
    return Sum(base, config, tensors, {**base.tensors, **adapter.tensors}, words, dequantized and adapter_folder is not None)


def merged_tensors(model: Sum) -> list[PlannedTensor]:
    """The model's tensors under their own names."""
    return [PlannedTensor(name, tensor.shape, tensor.source, tensor.update, tensor.dtype) for name, tensor in model.tensors.items()]


def gguf_tensors(model: Sum, mix: TypeMix) -> list[PlannedTensor]:
    """All tensors in the order in which llama.cpp's own quantizer writes them: outer ones by name, then block by block."""
    family, config = model.base.family, model.config
    names = {name: family.gguf_name(name) or name for name in model.tensors}
    computed = {name: np.array(values, dtype=np.float32) for name, values in family.computed_tensors(config).items()}
    shapes = {ours: model.tensors[name].shape for name, ours in names.items()}
    shapes |= {name: values.shape for name, values in computed.items()}
    types = tensor_types(shapes, mix, architecture_of(model))
    planned = [
        PlannedTensor(
            ours,
            shapes[ours],
            model.tensors[name].source,
            model.tensors[name].update,
            kind=types[ours],
            head=head_size(config) if family.is_permuted(name) else 0,
        )
        for name, ours in names.items()
    ]
    planned += [PlannedTensor(name, values.shape, None, kind=types[name], values=values) for name, values in computed.items()]
    return sorted(planned, key=lambda tensor: (_block_number(tensor.name), tensor.name))


def architecture_of(model: Sum) -> Architecture:
    """What the rule of types asks about the model."""
    metadata = model.base.family.metadata(model.config)
    blocks, heads, key_value_heads = (int(metadata[key]) for key in ("block_count", "attention.head_count", "attention.head_count_kv"))
    return Architecture(model.base.family.gguf_architecture, blocks, heads, key_value_heads)


def type_histogram(planned: list[PlannedTensor]) -> dict[str, int]:
    """How many tensors got each type."""
    return dict(Counter(tensor.kind.name for tensor in planned))


def _block_number(name: str) -> int:
    found = re.match(r"blk\.(\d+)\.", name)
    return int(found[1]) if found else -1
