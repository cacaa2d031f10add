"""A model: a base, an adapter on a base, a merged folder, a GGUF file, or an adapter as a GGUF file."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

ModelKind = Literal["base", "adapter", "merged", "gguf", "gguf_adapter"]


class Model(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the registry; the files lie in ``path`` (a folder, or for GGUF the file itself)."""

    id: str
    name: str
    kind: ModelKind
    path: str
    sha256: str
    size: int
    facts: dict[str, Any] = {}
    run_id: str | None = None
    created: float
    """Seconds since 1970, UTC."""


class Parent(msgspec.Struct, frozen=True, kw_only=True):
    """One edge of the lineage: ``child`` was made from ``parent``."""

    child: str
    parent: str
    role: str
    """``base``, ``adapter``, ``dataset``, ``validation``, ``source``."""


class Score(msgspec.Struct, frozen=True, kw_only=True):
    """One measured quality of a model."""

    model_id: str
    name: str
    """``exam_accuracy``, ``validation_loss``, ``perplexity`` …"""
    value: float
    facts: dict[str, Any] = {}
    run_id: str | None = None
    created: float
