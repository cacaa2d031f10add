"""Reading a SentencePiece model (``tokenizer.model``) without its library and without trusting it.

Format (google/sentencepiece ``sentencepiece_model.proto``): a protocol buffer of pieces in the order of their ids, a trainer's settings and
a normalizer's settings. Only the fields that decide about token ids are read.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from appliance.domain.errors import ApplianceError

LARGEST_MODEL = 64 << 20
"""Bytes; the largest vocabularies take 5 MB."""

BPE = 2
"""``TrainerSpec.ModelType``; 1 is unigram."""

_VARINT, _EIGHT_BYTES, _LENGTH, _FOUR_BYTES = 0, 1, 2, 5


class Piece(msgspec.Struct, frozen=True):
    """One token."""

    text: str
    score: float
    kind: int
    """1 normal, 2 unknown, 3 control, 4 user defined, 5 unused, 6 byte: GGUF has the same numbers."""


class SentencePieceModel(msgspec.Struct, frozen=True, kw_only=True):
    """What decides about token ids."""

    pieces: tuple[Piece, ...]
    model_type: int = 1
    byte_fallback: bool = False
    rewrites_characters: bool = False
    """Whether text is normalised by a table of characters before it is cut."""
    adds_prefix_space: bool = True
    removes_extra_spaces: bool = True


def read_sentencepiece(path: Path) -> SentencePieceModel:
    """The model in a file; raises ``sentencepiece_broken`` for anything else."""
    try:
        if path.stat().st_size > LARGEST_MODEL:
            raise ValueError(path)
        return _model(path.read_bytes())
    except (ValueError, struct.error, TypeError, AttributeError) as error:
        raise ApplianceError("sentencepiece_broken", path=str(path)) from error


def _model(raw: bytes) -> SentencePieceModel:
    pieces: list[Piece] = []
    settings: dict[str, int | bool] = {}
    for number, value in _fields(raw):
        if number == 1:
            told = dict(_fields(value))
            pieces.append(Piece(told[1].decode("utf-8"), told.get(2, 0.0), told.get(3, 1)) if 1 in told else Piece("", 0.0, 5))
        elif number == 2:
            told = dict(_fields(value))
            settings |= {"model_type": told.get(3, 1), "byte_fallback": bool(told.get(35, 0))}
        elif number == 3:
            told = dict(_fields(value))
            settings |= {
                "rewrites_characters": bool(told.get(2)),
                "adds_prefix_space": bool(told.get(3, 1)),
                "removes_extra_spaces": bool(told.get(4, 1)),
            }
    if not pieces:
        raise ValueError("no pieces")
    return msgspec.convert({**settings, "pieces": pieces}, SentencePieceModel, from_attributes=True)


def _fields(raw: bytes) -> Iterator[tuple[int, Any]]:
    """(field number, value) of a message: int, float or bytes by wire type; raises ValueError where the bytes end too early."""
    position = 0
    while position < len(raw):
        key, position = _varint(raw, position)
        kind = key & 7
        if kind == _VARINT:
            value, position = _varint(raw, position)
            yield key >> 3, value
            continue
        if kind == _LENGTH:
            size, position = _varint(raw, position)
        elif kind in (_FOUR_BYTES, _EIGHT_BYTES):
            size = 4 if kind == _FOUR_BYTES else 8
        else:
            raise ValueError(f"wire type {kind}")
        content = raw[position : position + size]
        if len(content) < size:
            raise ValueError("truncated")
        position += size
        yield key >> 3, struct.unpack("<f", content)[0] if kind == _FOUR_BYTES else content


def _varint(raw: bytes, position: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if position >= len(raw):
            raise ValueError("truncated")
        byte = raw[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    raise ValueError("varint")
