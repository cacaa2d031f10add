"""Every row of a file as a sketch and a signature: parsed by one thread, hashed by another.

Memory is 250 bytes for each row; the sketches, up to 4 kB for each row, are in a file that the operating system pages in and out.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from appliance.domain.conversation import Conversation
from appliance.domain.event import Emit, Progress
from appliance.domain.row import Row
from appliance.files.rows import read_rows
from appliance.stages.near_duplicates.arithmetic import PERMUTATIONS, SKETCH, sketch_rows

_BLOCK_CHARS = 1 << 19
"""Characters that are hashed at once."""
_RANDOM = np.random.RandomState(20)  # the legacy generator: its numbers are promised never to change
_FACTORS = _RANDOM.randint(0, 1 << 32, PERMUTATIONS, dtype=np.uint32) | np.uint32(1)
_OFFSETS = _RANDOM.randint(0, 1 << 32, PERMUTATIONS, dtype=np.uint32)

Array = NDArray[Any]


@dataclass(frozen=True)
class Sketches:
    """Of all rows of a file."""

    signatures: NDArray[np.uint16]
    """(rows, PERMUTATIONS): equal numbers at equal places estimate the Jaccard similarity."""
    values: NDArray[np.uint32]
    """The 5-grams' hashes of each row, sorted, one row after another."""
    ends: NDArray[np.int64]
    """(rows + 1,): where each row's begin."""
    lengths: NDArray[np.int64]
    """(rows,): compared characters."""


def compared_text(row: Row) -> str:
    """What of a row is compared: questions and answers, or the document, without white space and in small letters.

    A system turn is left out: all rows of a dataset may share it.
    """
    if isinstance(row, Conversation):
        told = [message.content for message in row.messages if message.role != "system"]
        text = "".join(told) + row.rejected
    else:
        text = row.text
    return "".join(text.split()).lower()


def sketch_file(rows: Path, count: int, scratch: Path, emit: Emit) -> Sketches:
    """Sketches of the ``count`` rows of a ``rows.jsonl``; ``scratch`` is a new file that has to stay as long as they are used.

    Emits Progress in bytes. Raises ``rows_damaged``.
    """
    signatures = np.zeros((count, PERMUTATIONS), np.uint16)
    ends, lengths = np.zeros(count + 1, np.int64), np.zeros(count, np.int64)
    done = filled = 0
    with ThreadPoolExecutor(1, thread_name_prefix="sketch") as hasher, scratch.open("xb") as values:

        def keep(sketched: Future[tuple[Array, Array, Array, Array]]) -> None:
            nonlocal done, filled
            some_signatures, some_values, some_ends, some_lengths = sketched.result()
            block = slice(done, done + len(some_lengths))
            signatures[block], lengths[block] = some_signatures, some_lengths
            ends[block.start + 1 : block.stop + 1] = some_ends + filled
            values.write(some_values.data)
            done, filled = block.stop, filled + len(some_values)

        waiting: Future[tuple[Array, Array, Array, Array]] | None = None
        for position, texts in _blocks(rows):
            coming = hasher.submit(_sketched, texts)
            if waiting is not None:
                keep(waiting)
            waiting = coming
            emit(Progress(position))
        if waiting is not None:
            keep(waiting)
    mapped = np.memmap(scratch, np.uint32, "r") if filled else np.zeros(0, np.uint32)
    return Sketches(signatures, mapped, ends, lengths)


def _blocks(rows: Path) -> Iterator[tuple[int, list[str]]]:
    """Some rows' texts at a time, with the position behind them in bytes."""
    waiting: list[str] = []
    characters = position = 0
    for _, position, row in read_rows(rows):
        text = compared_text(row)
        waiting.append(text)
        characters += len(text)
        if characters >= _BLOCK_CHARS:
            yield position, waiting
            waiting, characters = [], 0
    if waiting:
        yield position, waiting


def _sketched(texts: list[str]) -> tuple[Array, Array, Array, Array]:
    """Signatures, sketches, where each sketch ends, and characters of each text."""
    lengths = np.fromiter(map(len, texts), np.int64, len(texts))
    codes = np.frombuffer("".join(texts).encode("utf-32-le", "surrogatepass"), np.uint32)
    signatures = np.empty((len(texts), PERMUTATIONS), np.uint16)
    values = np.empty(int(np.minimum(lengths, SKETCH).sum()), np.uint32)
    ends = np.empty(len(texts), np.int64)
    sketch_rows(codes, np.concatenate([[0], np.cumsum(lengths)]), _FACTORS, _OFFSETS, signatures, values, ends)
    return signatures, values[: ends[-1]], ends, lengths
