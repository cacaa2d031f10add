"""Reading what a GGUF file says about itself, without believing it: llama.cpp sees a file only after this.

Format (ggml's ``docs/gguf.md`` and ``gguf.cpp``): magic, version, counts, key/value pairs, tensor list, then from the next multiple of the
alignment on the tensors' data, one after the other, each padded. Everything is little-endian. No count and no length is believed before
the file is known to be long enough for it, arrays are passed over, and nothing is kept of a value but what is short.
"""

from __future__ import annotations

import math
import os
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from appliance.domain.errors import ApplianceError

MAGIC = b"GGUF"
VERSIONS = (2, 3)
LARGEST_HEADER = 256 << 20
"""Bytes before the data; a vocabulary of 250,000 tokens with its merges takes about 15 MB."""
MOST_PAIRS, MOST_TENSORS = 65_536, 262_144
LONGEST_KEY = 65_535
"""Bytes, as the format has it."""
LONGEST_TENSOR_NAME, MOST_DIMENSIONS = 63, 4
"""``GGML_MAX_NAME`` without its closing zero, ``GGML_MAX_DIMS``."""
LONGEST_KEPT = 1 << 20
"""Bytes of a text value that is kept."""
USUAL_ALIGNMENT, LARGEST_ALIGNMENT = 32, 1 << 16
ALIGNMENT = "general.alignment"

_STRING, _ARRAY, _BOOL, _UINT32 = 8, 9, 7, 4
_SCALARS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<B", 10: "<Q", 11: "<q", 12: "<d"}

TENSOR_TYPES = {
    0: ("F32", 1, 4), 1: ("F16", 1, 2), 2: ("Q4_0", 32, 18), 3: ("Q4_1", 32, 20), 6: ("Q5_0", 32, 22), 7: ("Q5_1", 32, 24),
    8: ("Q8_0", 32, 34), 9: ("Q8_1", 32, 36), 10: ("Q2_K", 256, 84), 11: ("Q3_K", 256, 110), 12: ("Q4_K", 256, 144),
    13: ("Q5_K", 256, 176), 14: ("Q6_K", 256, 210), 15: ("Q8_K", 256, 292), 16: ("IQ2_XXS", 256, 66), 17: ("IQ2_XS", 256, 74),
    18: ("IQ3_XXS", 256, 98), 19: ("IQ1_S", 256, 50), 20: ("IQ4_NL", 32, 18), 21: ("IQ3_S", 256, 110), 22: ("IQ2_S", 256, 82),
    23: ("IQ4_XS", 256, 136), 24: ("I8", 1, 1), 25: ("I16", 1, 2), 26: ("I32", 1, 4), 27: ("I64", 1, 8), 28: ("F64", 1, 8),
    29: ("IQ1_M", 256, 56), 30: ("BF16", 1, 2), 34: ("TQ1_0", 256, 54), 35: ("TQ2_0", 256, 66), 39: ("MXFP4", 32, 17),
    40: ("NVFP4", 64, 36), 41: ("Q1_0", 128, 18), 42: ("Q2_0", 64, 18),
}  # fmt: skip
"""ggml's number → name, elements of a block, bytes of a block. A number that is not here is refused."""

Value = str | int | float | bool


@dataclass(frozen=True)
class GgufTensor:
    """One tensor as the list tells it."""

    name: str
    type: str
    shape: tuple[int, ...]
    """As GGUF has it: the length of a row first."""
    offset: int
    """Bytes from the beginning of the data."""
    size: int

    @property
    def elements(self) -> int:
        """How many numbers it holds."""
        return math.prod(self.shape)


@dataclass
class GgufHeader:
    """Everything before the data."""

    version: int
    values: dict[str, Value] = field(default_factory=dict)
    """Of keys whose value is one number, truth value or text that is not too long; a longer text is kept as empty."""
    array_lengths: dict[str, int] = field(default_factory=dict)
    tensors: list[GgufTensor] = field(default_factory=list)
    data_start: int = 0
    """Byte offset within the file."""


def read_gguf(path: Path) -> GgufHeader:
    """The header; raises ``gguf_not_one`` for another kind of file and ``gguf_broken`` with what is wrong with this one."""
    with path.open("rb") as file:
        if file.read(4) != MAGIC:
            raise ApplianceError("gguf_not_one", path=str(path))
        reader = _Reader(file, path, os.fstat(file.fileno()).st_size)
        header = GgufHeader(reader.number("<I"))
        if header.version not in VERSIONS:
            raise reader.refused("gguf_version", version=header.version)
        tensor_count, pair_count = reader.number("<Q"), reader.number("<Q")
        if tensor_count > MOST_TENSORS or pair_count > MOST_PAIRS:
            raise reader.refused("gguf_counts", tensors=tensor_count, pairs=pair_count)
        for _ in range(pair_count):
            _read_pair(reader, header)
        alignment = _alignment(reader, header)
        end = 0
        names: set[str] = set()
        for _ in range(tensor_count):
            tensor = _read_tensor(reader, names, end)
            header.tensors.append(tensor)
            end = _padded(tensor.offset + tensor.size, alignment)
        header.data_start = _padded(reader.place, alignment)
        last = header.tensors[-1] if header.tensors else None
        expected = header.data_start + (last.offset + last.size if last else 0)
        if expected > reader.length:
            raise reader.refused("gguf_truncated", expected=expected, found=reader.length)
    return header


class _Reader:
    """Reads on from where it is; nothing is asked for that the file cannot hold."""

    def __init__(self, file: BinaryIO, path: Path, length: int) -> None:
        self._file = file
        self._path = path
        self.length = length
        self._limit = min(length, LARGEST_HEADER)

    @property
    def place(self) -> int:
        """Byte offset within the file."""
        return self._file.tell()

    def refused(self, code: str, **told: Value) -> ApplianceError:
        """The refusal of this file for one problem."""
        return ApplianceError("gguf_broken", path=str(self._path), problems=[{"code": code, **told}])

    def number(self, form: str) -> int:
        """One whole number, or a float as it is."""
        value: int = struct.unpack(form, self.bytes(struct.calcsize(form)))[0]
        return value

    def require(self, count: int) -> None:
        """Raise unless so many bytes follow within the header's limit."""
        if count > self._limit - self.place:
            raise self.refused("gguf_ends_early", place=self.place, wanted=count, found=self.length)

    def bytes(self, count: int) -> bytes:
        """So many bytes."""
        self.require(count)
        found = self._file.read(count)
        if len(found) < count:  # a file that shrinks while it is read
            raise self.refused("gguf_ends_early", place=self.place, wanted=count, found=self.length)
        return found

    def text(self, longest: int) -> str | None:
        """A text, or None for one that is longer, which is passed over."""
        length = self.number("<Q")
        if length > longest:
            self.skip(length)
            return None
        return self.bytes(length).decode("utf-8", "replace")

    def skip(self, count: int) -> None:
        """Pass over so many bytes."""
        self.require(count)
        self._file.seek(count, os.SEEK_CUR)


def _read_pair(reader: _Reader, header: GgufHeader) -> None:
    key = reader.text(LONGEST_KEY)
    if not key or key in header.values or key in header.array_lengths:
        raise reader.refused("gguf_key_lies", key=(key or "")[:100])
    kind = reader.number("<I")
    if key == ALIGNMENT and kind != _UINT32:
        raise reader.refused("gguf_key_lies", key=key)
    if kind == _STRING:
        header.values[key] = reader.text(LONGEST_KEPT) or ""
    elif kind == _ARRAY:
        header.array_lengths[key] = _pass_array(reader, key)
    elif kind in _SCALARS:
        value = reader.number(_SCALARS[kind])
        header.values[key] = bool(value) if kind == _BOOL else value
    else:
        raise reader.refused("gguf_key_lies", key=key[:100])


def _pass_array(reader: _Reader, key: str) -> int:
    kind, count = reader.number("<I"), reader.number("<Q")
    if kind == _STRING:
        reader.require(8 * count)
        for _ in range(count):
            reader.skip(reader.number("<Q"))
    elif kind in _SCALARS:
        reader.skip(count * struct.calcsize(_SCALARS[kind]))
    else:
        raise reader.refused("gguf_key_lies", key=key[:100])
    return count


def _alignment(reader: _Reader, header: GgufHeader) -> int:
    found = int(header.values.get(ALIGNMENT, USUAL_ALIGNMENT))
    if not 0 < found <= LARGEST_ALIGNMENT or found & (found - 1):
        raise reader.refused("gguf_key_lies", key=ALIGNMENT)
    return found


def _read_tensor(reader: _Reader, names: set[str], expected_offset: int) -> GgufTensor:
    name = reader.text(LONGEST_TENSOR_NAME)
    if not name or name in names:
        raise reader.refused("gguf_tensor_lies", tensor=name or "")
    names.add(name)
    dimensions = reader.number("<I")
    if not 0 < dimensions <= MOST_DIMENSIONS:
        raise reader.refused("gguf_tensor_lies", tensor=name)
    shape = tuple(reader.number("<Q") for _ in range(dimensions))
    kind, offset = reader.number("<I"), reader.number("<Q")
    if kind not in TENSOR_TYPES:
        raise reader.refused("gguf_tensor_type", tensor=name, type=kind)
    type_name, elements, size = TENSOR_TYPES[kind]
    total = math.prod(shape)
    if not 0 < total < 1 << 62 or shape[0] % elements or offset != expected_offset:
        raise reader.refused("gguf_tensor_lies", tensor=name)
    return GgufTensor(name, type_name, shape, offset, total // elements * size)


def _padded(place: int, alignment: int) -> int:
    return -(-place // alignment) * alignment
