"""What ggml tries when it looks for the scale and the minimum of a small block."""

from __future__ import annotations

import numpy as np
from gguf import GGMLQuantizationType as Kind

Search = tuple[int, np.float32, np.float32, int]
"""Highest level; offset, step and number of steps of the inverse scales around it."""

_BY_TYPE: dict[Kind, Search] = {
    Kind.Q4_K: (15, np.float32(-1.0), np.float32(0.1), 20),
    Kind.Q5_K: (31, np.float32(-0.5), np.float32(0.1), 15),
}


def search_of(kind: Kind, *, weighted: bool) -> Search:
    """For Q4_K and Q5_K; with importance both are searched more finely."""
    search = _BY_TYPE[kind]
    return (search[0], np.float32(-0.9), np.float32(0.05), 36) if weighted else search
