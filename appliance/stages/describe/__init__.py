"""Describe: reads a dataset once and tells what it looks like. Changes nothing; its answer is one small JSON file that can be made again.

A large dataset is counted by a process for each core, some rows at a time. Memory does not grow with the rows, but for eight bytes for each
question and answer. It knows neither registry nor front ends.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import msgspec

from appliance.domain.errors import ApplianceError
from appliance.domain.event import Artifact, Emit, Produced, Progress, Started
from appliance.domain.spec import DescribeSpec
from appliance.files.checksum import file_sha256
from appliance.files.lines import read_lines
from appliance.files.publish import published_file
from appliance.files.rows import parsed_row
from appliance.files.space import disk_full_named
from appliance.processes.pool import ordered_map
from appliance.stages.describe.measures import Measure, characters, tokens
from appliance.stages.describe.tally import Tally

ROLE = "description"
SMALL = 4 << 20
"""Bytes of rows that one process counts sooner than others would have started."""
_ROWS_AT_ONCE = 512


def run(spec: DescribeSpec, emit: Emit) -> None:
    """Count every row, publish the description."""
    began = time.monotonic()
    rows, place = Path(spec.rows), Path(spec.output)
    if not rows.is_file():
        raise ApplianceError("rows_missing", path=str(rows))
    size = rows.stat().st_size
    emit(Started(size, "bytes", "describe"))
    tally = Tally(is_tokens=bool(spec.base))
    for position, part in ordered_map(counted, _blocks(spec), 1 if size < SMALL else None):
        tally.merge(part)
        emit(Progress(position))
    if not tally.rows:
        raise ApplianceError("rows_empty")
    with disk_full_named(place), published_file(place) as partial:
        partial.write_bytes(msgspec.json.encode(tally.description(time.monotonic() - began)))
    emit(Produced(Artifact(role=ROLE, path=str(place), sha256=file_sha256(place), size=place.stat().st_size)))


class Block(NamedTuple):
    """Some rows on their way to whoever counts them."""

    spec: DescribeSpec
    first: int
    """Number of the first line, from 1."""
    position: int
    """Behind the last line, in bytes."""
    lines: list[bytes]


def counted(block: Block) -> tuple[int, Tally]:
    """The position behind a block and the counts of its rows; raises ``rows_damaged``."""
    rows = []
    for number, line in enumerate(block.lines, block.first):
        rows.append(parsed_row(line, block.spec.rows, number))
    tally = Tally(is_tokens=bool(block.spec.base))
    for row, (length, trained) in zip(rows, _measure(block.spec.base, block.spec.adapter)(rows), strict=True):
        tally.add(row, length, trained)
    return block.position, tally


@lru_cache(maxsize=1)
def _measure(base: str, adapter: str) -> Measure:
    return tokens(Path(base), Path(adapter) if adapter else None) if base else characters


def _blocks(spec: DescribeSpec) -> Iterator[Block]:
    waiting: list[bytes] = []
    number = position = 0
    for number, position, line in read_lines(Path(spec.rows)):
        waiting.append(line)
        if len(waiting) == _ROWS_AT_ONCE:
            yield Block(spec, number - len(waiting) + 1, position, waiting)
            waiting = []
    if waiting:
        yield Block(spec, number - len(waiting) + 1, position, waiting)
