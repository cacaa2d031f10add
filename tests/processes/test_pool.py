"""Work in several processes comes back in order, fails as it would here, and leaves no process behind."""

from __future__ import annotations

import os
from collections.abc import Iterator

import psutil
import pytest

from appliance.domain.errors import ApplianceError
from appliance.processes.pool import ordered_map
from tests.processes.pool_work import prepared, refused, slow_square


@pytest.mark.parametrize("processes", [1, 2])
def test_results_in_order(processes: int) -> None:
    """Later pieces may be done sooner; they are given later. The preparation has happened wherever work is done."""
    found = list(ordered_map(slow_square, range(12), processes, prepared, (3,)))
    assert [value for value, _, _ in found] == [number * number for number in range(12)]
    assert {offset for _, offset, _ in found} == {3}
    workers = {process for _, _, process in found}
    assert (os.getpid() in workers) == (processes == 1)
    assert not _children() & workers


def test_few_pieces_wait() -> None:
    """Pieces are read only as fast as results are taken: memory stays bounded."""
    read = 0

    def pieces() -> Iterator[int]:
        nonlocal read
        for number in range(1000):
            read = number
            yield number

    results = ordered_map(slow_square, pieces(), 2)
    next(results)
    assert read <= 6
    results.close()  # type: ignore[attr-defined]  # a generator, which is what stops it
    assert read <= 6


@pytest.mark.parametrize("processes", [1, 2])
def test_an_error_keeps_its_words(processes: int) -> None:
    """What a piece is refused with arrives whole."""
    with pytest.raises(ApplianceError, match="rows_damaged") as caught:
        list(ordered_map(refused, [1, 2, 3], processes))
    assert caught.value.parameters == {"path": "x", "line": 1}


def _children() -> set[int]:
    return {child.pid for child in psutil.Process().children(recursive=True)}
