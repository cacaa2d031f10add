"""Rows in blocks, redacted by as many processes as there are cores, in the file's order."""

from __future__ import annotations

import hashlib
import multiprocessing
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path

import msgspec

from appliance.domain.document import Document
from appliance.domain.recipe import RedactionRecipe
from appliance.domain.redaction import KindReport
from appliance.domain.row import row_to_json
from appliance.files.lines import read_lines
from appliance.files.rows import parsed_row
from appliance.processes.room import usable_cores
from appliance.stages.redact.redactor import Chosen, Redactor, Seen, masked

BLOCK_BYTES = 1 << 18
"""Of rows that go to a process at once."""
_ALONE_BELOW = 4 * BLOCK_BYTES
"""Bytes of a file for which no further process is worth its start."""
_MOST_PROCESSES = 16
EXAMPLES = 5
"""Masked examples of each kind in a report."""


class Listed(msgspec.Struct, frozen=True):
    """An uncertain find on its way to the review list."""

    digest: bytes
    """The same for equal finds; it stays in memory."""
    place: str
    kind: str
    length: int
    masked: str


class Block(msgspec.Struct, frozen=True):
    """Some lines of a file."""

    lines: list[bytes]
    first: int
    """Number of the first line."""
    position: int
    """Behind the last line in the file, in bytes."""


class Done(msgspec.Struct):
    """A block after the work."""

    position: int
    rows: int
    documents: int = 0
    """How many of the rows are documents."""
    lines: list[bytes] = []
    changed: int = 0
    kinds: dict[str, KindReport] = {}
    listed: list[Listed] = []


def blocks(path: Path) -> Iterator[Block]:
    """A file in blocks."""
    lines: list[bytes] = []
    size, number, position = 0, 0, 0
    for number, position, line in read_lines(path):
        lines.append(line)
        size += len(line)
        if size >= BLOCK_BYTES:
            yield Block(lines, number - len(lines) + 1, position)
            lines, size = [], 0
    if lines:
        yield Block(lines, number - len(lines) + 1, position)


def redact_block(redactor: Redactor, block: Block, check: bool) -> Done:
    """Redact or check each row of a block. Raises ``rows_damaged`` with the line."""
    done = Done(block.position, len(block.lines))
    for number, line in enumerate(block.lines, block.first):
        row = parsed_row(line, "", number)
        done.documents += isinstance(row, Document)
        if check:
            redacted, seen = row, redactor.check(row)
        else:
            redacted, seen = redactor.redact(row)
        for one in seen:
            _count(done, one, number)
        done.changed += redacted is not row
        if not check:
            done.lines.append(line if redacted is row else row_to_json(redacted))
    return done


def _count(done: Done, seen: Seen, line: int) -> None:
    find = seen.find
    report = done.kinds.setdefault(find.kind, KindReport())
    if seen.fate == "left":
        report.left += 1
        return
    report.found += 1
    report.uncertain += not find.sure
    report.kept += seen.fate == "kept"
    report.open += seen.fate == "open"
    if find.sure and len(report.examples) >= EXAMPLES:
        return
    shown = masked(find)
    if len(report.examples) < EXAMPLES and shown not in report.examples:
        report.examples.append(shown)
    if not find.sure:
        digest = hashlib.blake2b(f"{find.kind}\0{find.value}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
        place = f"{line}:{seen.part}:{find.start}"
        done.listed.append(Listed(digest, place, find.kind, find.end - find.start, shown))


Work = Callable[[Iterator[Block]], Iterator[Done]]


@contextmanager
def workers(recipe: RedactionRecipe, key: bytes, chosen: Chosen, size: int, check: bool) -> Iterator[Work]:
    """What takes blocks and gives them back done, in order; in this process for a small file, else in one process for each core."""
    count = min(_MOST_PROCESSES, usable_cores())
    if size < _ALONE_BELOW or count == 1:
        redactor = Redactor(recipe, key, chosen)
        yield lambda source: (redact_block(redactor, block, check) for block in source)
        return
    pool = ProcessPoolExecutor(count, multiprocessing.get_context("spawn"), _prepare, (recipe, key, dict(chosen), check))
    try:
        yield lambda source: _in_order(pool, source, 2 * count + 1)
        pool.shutdown()
    except BrokenProcessPool as error:
        # The kernel ends a process like this when memory runs out.
        raise MemoryError from error
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _in_order(pool: ProcessPoolExecutor, source: Iterator[Block], at_once: int) -> Iterator[Done]:
    waiting: deque[Future[Done]] = deque()
    for block in source:
        waiting.append(pool.submit(_work, block))
        if len(waiting) >= at_once:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


_prepared: list[tuple[Redactor, bool]] = []
"""In a process of the pool: what it works with."""


def _prepare(recipe: RedactionRecipe, key: bytes, chosen: Chosen, check: bool) -> None:
    _prepared.append((Redactor(recipe, key, chosen), check))


def _work(block: Block) -> Done:
    redactor, check = _prepared[0]
    return redact_block(redactor, block, check)
