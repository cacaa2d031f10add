"""Best fit: every row in one pack, no pack too full, hardly a pack too many."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from appliance.stages.language_model.packing import best_fit


@given(lengths=st.lists(st.integers(1, 40), max_size=120), capacity=st.integers(1, 60))
def test_every_row_is_in_one_pack(lengths: list[int], capacity: int) -> None:
    """Each row is in exactly one pack; only a row that is longer than a pack makes one too full, and it is alone there."""
    packs = best_fit(np.array(lengths, np.int64), range(len(lengths)), capacity)
    assert sorted(row for pack in packs for row in pack) == list(range(len(lengths)))
    for pack in packs:
        assert sum(lengths[row] for row in pack) <= capacity or len(pack) == 1


@given(lengths=st.lists(st.integers(1, 40), min_size=1, max_size=120))
def test_no_two_packs_would_fit_into_one(lengths: list[int]) -> None:
    """At most one pack is half empty, so there are fewer than twice as many as the tokens need."""
    packs = best_fit(np.array(lengths, np.int64), range(len(lengths)), 40)
    assert sum(2 * sum(lengths[row] for row in pack) <= 40 for pack in packs) <= 1


def test_a_row_goes_where_it_fits_best() -> None:
    """The longest first, and each where it leaves the least room."""
    lengths = np.array([4, 6, 5, 3, 2])
    assert best_fit(lengths, range(5), 10) == [[1, 0], [2, 3, 4]]
    assert best_fit(lengths, [3, 0], 10) == [[0, 3]]
    assert best_fit(lengths, [], 10) == []


def test_texts_fill_their_packs() -> None:
    """Rows as long as Chinese questions and answers fill 99 % of all packs."""
    lengths = np.clip(np.random.default_rng(1).lognormal(5.46, 0.7, 20_000), 16, 1024).astype(np.int64)
    packs = best_fit(lengths, range(len(lengths)), 4096)
    assert lengths.sum() / (4096 * len(packs)) > 0.99
