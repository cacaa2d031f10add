"""Rows as a model takes them: behind one another in one pack, or side by side and padded.

In a pack positions begin anew with every row, and ``attention.py`` keeps the rows apart; there is no padding. Padded rows are padded on the
right and there is no attention mask: attention is causal, so no token of a row ever sees the padding behind it. Either way no row
learns of another, no loss is computed on padding, and the first token of a row, which nothing comes before, is never trained.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from appliance.stages.language_model.attention import Segments
from appliance.stages.language_model.tokenized_rows import TokenizedRows


@dataclass(frozen=True)
class Batch:
    """Rows that go through the model at once."""

    ids: torch.Tensor
    """Token ids: (1, tokens) of a pack, else (rows, longest row), int64."""
    speaking: torch.Tensor
    """Flat positions whose next token is trained: (trained tokens,), int64."""
    targets: torch.Tensor
    """That next token's id: (trained tokens,), int64."""
    tokens: int
    """Without padding."""
    positions: torch.Tensor | None = None
    """Of a pack: each token's place in its row, (1, tokens), int64."""
    segments: Segments | None = None
    """Of a pack: where its rows lie."""

    @property
    def trained_tokens(self) -> int:
        """How many tokens the loss is summed over."""
        return len(self.targets)

    def to(self, device: torch.device) -> Batch:
        """The same batch on a device."""
        if device.type == "cpu":
            return self
        ids, speaking, targets = (tensor.pin_memory().to(device, non_blocking=True) for tensor in (self.ids, self.speaking, self.targets))
        moved = replace(self, ids=ids, speaking=speaking, targets=targets)
        if self.positions is None or self.segments is None:
            return moved
        return replace(moved, positions=self.positions.pin_memory().to(device, non_blocking=True), segments=self.segments.to(device))


def make_batch(rows: TokenizedRows, chosen: Sequence[int], *, packed: bool = False) -> Batch:
    """The chosen rows as one batch."""
    found = [rows.ids(row) for row in chosen]
    trained = [np.flatnonzero(rows.trained(row)) for row in chosen]
    lengths = [len(ids) for ids in found]
    width = 0 if packed else max(lengths)
    starts = np.cumsum([0, *lengths[:-1]]) if packed else np.arange(len(chosen)) * width
    ids = np.concatenate(found)[None] if packed else np.stack([np.pad(row, (0, width - len(row))) for row in found])
    return Batch(
        ids=torch.from_numpy(ids.astype(np.int64)),
        speaking=torch.from_numpy(np.concatenate([places - 1 + start for places, start in zip(trained, starts, strict=True)])),
        targets=torch.from_numpy(np.concatenate([row[places] for row, places in zip(found, trained, strict=True)]).astype(np.int64)),
        tokens=sum(lengths),
        positions=torch.from_numpy(np.concatenate([np.arange(length) for length in lengths])[None]) if packed else None,
        segments=Segments.of(lengths) if packed else None,
    )


def by_length(lengths: NDArray[np.int64], rows: Iterable[int], size: int) -> list[list[int]]:
    """The rows in batches of ``size``, rows of similar length together, the longest first: if memory is short, it is short at once."""
    order = sorted(rows, key=lambda row: -int(lengths[row]))
    return [order[start : start + size] for start in range(0, len(order), size)]
