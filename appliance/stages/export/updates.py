"""What an adapter does to the rows of one tensor, in f32: the one piece of arithmetic by which everything is merged.

``W' = W + scaling · B @ A`` with scaling = alpha / rank, or alpha / sqrt(rank) for rsLoRA (Kalajdzievski 2023); DoRA (Liu et al. 2024) then
gives every row the length of its magnitude; (IA)³ (Liu et al. 2022) multiplies rows or columns. Rows do not depend on each other, so a
block of rows is all that is ever held.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from appliance.files.safetensors_header import StoredTensor
from appliance.stages.export.base_weights import WeightReader

Rows = NDArray[np.float32]


@dataclass(frozen=True)
class LowRankUpdate:
    """LoRA, rsLoRA and DoRA: a product of two narrow matrices is added."""

    down: StoredTensor
    """A: (rank, columns)."""
    up: StoredTensor
    """B: (rows, rank)."""
    scaling: float
    magnitude: StoredTensor | None = None
    """DoRA's length of every row: (rows,)."""
    is_embedding: bool = False
    """peft stores an embedding's matrices turned: A is (rank, rows) and B (columns, rank)."""

    @property
    def rank(self) -> int:
        """Width of the narrow matrices."""
        return self.down.shape[0]

    def apply(self, weights: Rows, start: int, reader: WeightReader) -> None:
        """Change rows ``start`` and following, in place."""
        up, down = self.matrices(reader, start, start + len(weights))
        delta = up @ down
        delta *= np.float32(self.scaling)
        weights += delta
        if self.magnitude is not None:
            lengths = np.linalg.norm(weights, axis=1, keepdims=True)
            weights *= reader.rows(self.magnitude, start, start + len(weights)) / lengths

    def matrices(self, reader: WeightReader, start: int, stop: int) -> tuple[Rows, Rows]:
        """B's rows from ``start`` to ``stop`` as (rows, rank), and A as (rank, columns)."""
        down = reader.rows(self.down, 0, self.down.shape[0])
        if self.is_embedding:
            return np.ascontiguousarray(down[:, start:stop].T), np.ascontiguousarray(reader.rows(self.up, 0, self.up.shape[0]).T)
        return reader.rows(self.up, start, stop), down


@dataclass(frozen=True)
class ReplacedRows:
    """Embeddings of single tokens that were trained: they take the place of the old ones."""

    numbers: tuple[int, ...]
    """Which rows."""
    values: StoredTensor
    """(len(numbers), columns)."""

    def rows_of(self, stored: int) -> int:
        """How many rows there are now, of a matrix that is stored with so many: it grows when behind its end every row is given."""
        reached = max(self.numbers, default=-1) + 1
        is_whole = reached - stored <= len(self.numbers) and set(range(stored, reached)) <= set(self.numbers)
        return max(stored, reached) if is_whole else stored

    def apply(self, weights: Rows, start: int, reader: WeightReader) -> None:
        """Change rows ``start`` and following, in place."""
        for place, number in enumerate(self.numbers):
            if start <= number < start + len(weights):
                weights[number - start] = reader.rows(self.values, place, place + 1)[0]


@dataclass(frozen=True)
class Scaling:
    """(IA)³: what a layer puts out, or what comes into it, is multiplied number by number; so are its rows, or its columns."""

    factors: StoredTensor
    """(rows, 1), or (1, columns)."""
    of_columns: bool = False

    def apply(self, weights: Rows, start: int, reader: WeightReader) -> None:
        """Change rows ``start`` and following, in place."""
        weights *= reader.rows(self.factors, 0, 1) if self.of_columns else reader.rows(self.factors, start, start + len(weights))


Update = LowRankUpdate | ReplacedRows | Scaling
