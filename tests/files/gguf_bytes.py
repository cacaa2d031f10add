"""GGUF files byte by byte, sound ones and such as lie."""

from __future__ import annotations

import struct
from collections.abc import Sequence

STRING, ARRAY, UINT32 = 8, 9, 4


def text(value: str) -> bytes:
    """A text with its length before it."""
    raw = value.encode()
    return struct.pack("<Q", len(raw)) + raw


def pair(key: str, value: str | int) -> bytes:
    """A key with a text or a 32-bit number."""
    if isinstance(value, str):
        return text(key) + struct.pack("<I", STRING) + text(value)
    return text(key) + struct.pack("<II", UINT32, value)


def strings(key: str, values: Sequence[str]) -> bytes:
    """A key with an array of texts."""
    return text(key) + struct.pack("<IIQ", ARRAY, STRING, len(values)) + b"".join(map(text, values))


def tensor(name: str, shape: Sequence[int], kind: int = 0, offset: int = 0) -> bytes:
    """A line of the tensor list; kind 0 is F32."""
    return text(name) + struct.pack("<I", len(shape)) + struct.pack(f"<{len(shape)}Q", *shape) + struct.pack("<IQ", kind, offset)


PAIRS = (pair("general.architecture", "qwen2"), pair("general.name", "纸"), strings("tokenizer.ggml.tokens", ["a", "b"]))


def header(pairs: Sequence[bytes] = PAIRS, tensors: Sequence[bytes] = (tensor("token_embd.weight", (32, 2)),), version: int = 3) -> bytes:
    """Everything before the data, padded to the usual alignment."""
    raw = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(pairs)) + b"".join((*pairs, *tensors))
    return raw + bytes(-len(raw) % 32)


def sound() -> bytes:
    """A whole file: one tensor of 64 numbers."""
    return header() + bytes(256)
