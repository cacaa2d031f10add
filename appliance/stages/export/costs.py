"""What running a model over a sample takes: asked for and told before it begins."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from appliance.domain.errors import ApplianceError, ExitCode
from appliance.processes.room import host_memory

_PROBE_SIZE = 1024
_LIBRARIES = 300 << 20
"""Bytes that a child holds before it has a model."""


def working_memory(metadata: Mapping[str, Any], vocabulary: int, context: int, piece: int, models: int) -> int:
    """Bytes that running ``models`` models takes besides the weights, whose pages are the files' own.

    ``context`` tokens of f16 keys and values, logits of ``piece`` tokens where they are computed and where they are read, activations.
    """
    heads, width = int(metadata["attention.head_count"]), int(metadata["embedding_length"])
    head = int(metadata.get("attention.key_length", width // heads))
    cache = context * int(metadata["block_count"]) * int(metadata["attention.head_count_kv"]) * head * 2 * 2
    logits = 2 * piece * vocabulary * 4
    activations = piece * (4 * width + 3 * int(metadata["feed_forward_length"])) * 4
    return _LIBRARIES + models * (cache + logits + activations)


def require_memory(needed: int) -> None:
    """Raise ``memory_too_small`` unless so many bytes can be taken."""
    free, _ = host_memory()
    if free < needed:
        raise ApplianceError("memory_too_small", ExitCode.NO_ROOM, needed=needed, free=free)


def seconds_for(parameters: int, tokens: int) -> float:
    """About how long ``tokens`` take: two operations per parameter and token, at the rate of a matrix product that is tried now."""
    return 2.0 * parameters * tokens / _operations_per_second()


def _operations_per_second() -> float:
    matrix = np.ones((_PROBE_SIZE, _PROBE_SIZE), dtype=np.float32)
    rates = []
    for _ in range(3):
        began = time.perf_counter()
        matrix @ matrix
        rates.append(2.0 * _PROBE_SIZE**3 / (time.perf_counter() - began))
    return max(rates)
