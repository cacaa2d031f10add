"""The datasets that are mixed: where each row lies, its class, its tokens; rows themselves stay in their files."""

from __future__ import annotations

import mmap
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from appliance.domain.document import Document
from appliance.domain.errors import ApplianceError
from appliance.domain.row import Row
from appliance.domain.spec import MixedRows
from appliance.files.lines import BLOCK
from appliance.files.rows import read_rows


@dataclass(frozen=True)
class Part:
    """One dataset."""

    name: str
    kind: str
    ends: NDArray[np.int64]
    """(rows + 1,): where each line begins, in bytes."""
    classes: NDArray[np.int64]
    """(rows,): the number of each row's class."""
    names: tuple[str, ...]
    """Of the classes; empty when they do not matter."""
    labels: frozenset[str]
    """That any row has."""
    tokens: NDArray[np.int64] | None
    """(rows,), where a base is named."""
    contents: mmap.mmap

    def __len__(self) -> int:
        return len(self.ends) - 1

    def line(self, row: int) -> bytes:
        """A row as it stands in its file, without the newline."""
        return self.contents[self.ends[row] : self.ends[row + 1]].removesuffix(b"\n")

    def bytes_of(self, rows: NDArray[np.int64]) -> int:
        """What these rows take on disk."""
        return int((self.ends[rows + 1] - self.ends[rows]).sum())


def read_part(mixed: MixedRows, label: str, count_tokens: Callable[[Row], int] | None) -> Iterator[tuple[int, Part | None]]:
    """Read a dataset once: bytes done, and in the end the part. Raises ``rows_damaged`` or ``rows_empty``."""
    path = Path(mixed.rows)
    ends, classes, tokens = array("q", [0]), array("q"), array("q")
    names: dict[str, int] = {}
    labels: set[str] = set()
    kind, told = "conversations", 0
    for line, position, row in read_rows(path):
        ends.append(position)
        labels.update(row.labels)
        classes.append(names.setdefault(row.labels.get(label, ""), len(names)) if label else 0)
        if count_tokens is not None:
            tokens.append(count_tokens(row))
        if line == 1 and isinstance(row, Document):
            kind = "documents"
        if position - told >= BLOCK:
            yield position, None
            told = position
    if len(ends) == 1:
        raise ApplianceError("rows_empty")
    with path.open("rb") as file:
        contents = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    counted = np.array(tokens, np.int64) if count_tokens is not None else None
    places = np.array(ends, np.int64), np.array(classes, np.int64)
    yield ends[-1], Part(mixed.name, kind, *places, tuple(names), frozenset(labels), counted, contents)
