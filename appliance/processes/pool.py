"""A function over many pieces of work in several processes, results in the order of the pieces, few of them in memory at a time.

The processes belong to the group of this one and so end with it, however it ends.
"""

from __future__ import annotations

import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing import get_context
from typing import TypeVar

from appliance.processes.room import usable_cores

Piece = TypeVar("Piece")
Result = TypeVar("Result")

_AHEAD = 2
"""Pieces that wait for every process, so that none of them waits for us."""


def ordered_map(
    function: Callable[[Piece], Result],
    pieces: Iterable[Piece],
    processes: int | None = None,
    prepare: Callable[..., None] | None = None,
    arguments: tuple[object, ...] = (),
) -> Iterator[Result]:
    """``map`` in several processes, one for each core unless told; with one process, in this very one.

    ``prepare(*arguments)`` is called once in each process. Functions are named by module and so have to be at its top level.
    """
    count = processes or usable_cores()
    if count == 1:
        if prepare is not None:
            prepare(*arguments)
        yield from map(function, pieces)
        return
    # Fresh interpreters: a copy of this process would hold its open pipes and locks.
    with ProcessPoolExecutor(count, get_context("spawn"), _begin, (prepare, arguments)) as pool:
        waiting: deque[Future[Result]] = deque()
        try:
            for piece in pieces:
                waiting.append(pool.submit(function, piece))
                if len(waiting) > count * _AHEAD:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _begin(prepare: Callable[..., None] | None, arguments: tuple[object, ...]) -> None:
    """Whoever made this process decides when it ends, not Ctrl-C at the terminal."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if prepare is not None:
        prepare(*arguments)
