"""The fast quantizer: ggml's K-quants, bit for bit, several times as fast, and the choice between it and ggml's own.

The choice is safe on any machine: before it is used, the compiled code has to give ggml's own bytes for a sample, on the processor at hand
and with the library at hand. Types other than Q4_K, Q5_K and Q6_K are ggml's in any case.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np
from gguf import GGMLQuantizationType as Kind
from numpy.typing import NDArray

from appliance.stages.export import quantizer as ggml
from appliance.stages.export.fast_quantizer.searches import search_of

Rows = NDArray[np.float32]
Bytes = NDArray[np.uint8]

KINDS = (Kind.Q4_K, Kind.Q5_K, Kind.Q6_K)
"""Types that are worth it: in a Q4_K_M file all else is vectors."""

SUPER = 256
"""Values of one block."""

WORTHWHILE_ELEMENTS = 1 << 26
"""Below this many values ggml is done before the compiled code is loaded, and long before it is compiled."""


Name = Literal["fast", "gpu", "reference"]


@dataclass(frozen=True)
class Quantizer:
    """The arithmetic that was chosen."""

    name: Name
    quantize: ggml.Quantize
    refused: str = ""
    """Why what was asked for is not taken, as the code of a notice; empty when it is."""


REFERENCE = Quantizer("reference", ggml.quantize_rows)


def chosen_quantizer(wanted: Name, elements: int) -> Quantizer:
    """The quantizer for a file with so many values in types that the fast one knows."""
    if wanted == "reference" or elements < WORTHWHILE_ELEMENTS:
        return REFERENCE
    refused = ""
    candidates: tuple[Name, ...] = ("gpu", "fast") if wanted == "gpu" else ("fast",)
    for name in candidates:
        reason = refusal(name)
        if not reason:
            return Quantizer(name, _WAYS[name], refused)
        refused = refused or reason
    return Quantizer("reference", ggml.quantize_rows, refused)


def quantize_rows(rows: Rows, kind: Kind, importance: Rows | None = None) -> Bytes:
    """The same bytes as ggml's quantizer gives, and the same OverflowError for a value that does not fit."""
    if kind not in KINDS or rows.shape[1] % SUPER:
        return ggml.quantize_rows(rows, kind, importance)
    from appliance.stages.export.fast_quantizer import affine, symmetric

    blocks = np.ascontiguousarray(rows, dtype=np.float32).reshape(-1, SUPER)
    weights = np.empty(0, np.float32) if importance is None else np.ascontiguousarray(importance, dtype=np.float32)
    out = np.empty((len(blocks), ggml.bytes_of(kind, SUPER)), dtype=np.uint8)
    if kind is Kind.Q6_K:
        symmetric.quantize(blocks, weights, out)
    else:
        affine.quantize(blocks, weights, out, *search_of(kind, weighted=importance is not None))
    return ggml.validated(kind, out.reshape(-1))


def quantize_on_device(rows: Rows, kind: Kind, importance: Rows | None = None, device: str = "cuda") -> Bytes:
    """The same again by torch's operations."""
    if kind not in KINDS or rows.shape[1] % SUPER:
        return ggml.quantize_rows(rows, kind, importance)
    import torch

    from appliance.stages.export.fast_quantizer import on_device

    blocks = torch.from_numpy(np.ascontiguousarray(rows, dtype=np.float32).reshape(-1, SUPER)).to(device)
    weights = None if importance is None else torch.from_numpy(np.ascontiguousarray(importance, dtype=np.float32)).to(device)
    search = None if kind is Kind.Q6_K else search_of(kind, weighted=importance is not None)
    return ggml.validated(kind, on_device.quantize(blocks, weights, search).cpu().numpy().reshape(-1))


_WAYS: dict[Name, ggml.Quantize] = {"fast": quantize_rows, "gpu": quantize_on_device}


@cache
def refusal(name: Name) -> str:
    """Why one of the two cannot be used here, as the code of a notice: no GPU, no numba, or other bytes than ggml's. Empty when it can."""
    if name == "gpu" and not _has_gpu():
        return "fast_quantizer_no_gpu"
    try:
        sample, weights = _sample()
        for kind in KINDS:
            for importance in (None, weights):
                if not np.array_equal(_WAYS[name](sample, kind, importance), ggml.quantize_rows(sample, kind, importance)):
                    return "fast_quantizer_differs"
    except ImportError:
        return "fast_quantizer_missing"
    return ""


def _has_gpu() -> bool:
    import torch

    return torch.cuda.is_available()


def _sample() -> tuple[Rows, Rows]:
    """Rows with small, large, equal and missing values, and weights for their columns."""
    random = np.random.default_rng(4)
    rows = random.standard_normal((24, 1024), dtype=np.float32)
    rows.reshape(-1, 16)[:] *= 10.0 ** random.uniform(-6, 2, (rows.size // 16, 1)).astype(np.float32)
    rows[:8] = random.standard_normal((8, 1024), dtype=np.float32) * 0.02
    rows[8:10], rows[10, ::3], rows[11] = 0.25, 0, np.abs(rows[11])
    return rows, random.random(1024, dtype=np.float32)
