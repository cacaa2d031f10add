"""The order of rows and the learning rate: functions of the seed and the step, nothing else."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from appliance.domain.recipe import TrainingRecipe
from appliance.stages.train.history import History, StepRecord
from appliance.stages.train.order import Order, Part, Step, pack_tokens, packs_rows, step_seed
from appliance.stages.train.schedule import learning_rate


def epoch(order: Order, number: int = 0) -> list[Step]:
    """All steps of one epoch."""
    return [order.step(number * order.steps_per_epoch + place + 1) for place in range(order.steps_per_epoch)]


def rows_of(steps: list[Step]) -> list[int]:
    """All rows of some steps, as they come."""
    return [row for step in steps for chosen in step for row in chosen]


def rows_like_texts(count: int) -> NDArray[np.int64]:
    """Lengths of Chinese questions and answers: log-normal, mean 300, sigma 0.7."""
    return np.clip(np.random.default_rng(1).lognormal(5.46, 0.7, count), 16, 1024).astype(np.int64)


@given(rows=st.integers(1, 200), batch=st.integers(1, 20), micro=st.integers(1, 20), number=st.integers(0, 5), packing=st.booleans())
def test_each_row_once_per_epoch(rows: int, batch: int, micro: int, number: int, packing: bool) -> None:
    """An epoch has every row exactly once, in steps of the size that was asked for, packed or not."""
    recipe = TrainingRecipe(batch_size=batch, micro_batch_size=micro, packing=packing, max_length=32)
    lengths = np.arange(rows) % 17 + 1
    order = Order(lengths, recipe)
    steps = epoch(order, number)
    assert sorted(rows_of(steps)) == list(range(rows))
    assert all(sum(map(len, step)) == batch for step in steps[:-1])
    for chosen in (chosen for step in steps for chosen in step):
        assert lengths[chosen].sum() <= pack_tokens(recipe) if packing else len(chosen) <= micro


def test_order_follows_from_seed_and_epoch() -> None:
    """The same seed and epoch give the same order; another epoch and another seed give others; steps may be asked for in any order."""
    lengths, recipe = np.arange(100) % 7 + 1, TrainingRecipe()
    order, other = Order(lengths, recipe), Order(lengths, TrainingRecipe(seed=18))
    assert order.step(9) == Order(lengths, recipe).step(9)
    assert rows_of(epoch(order)) != rows_of(epoch(order, 1))
    assert epoch(order) != epoch(other)
    assert order.step(9) == Order(lengths, recipe).step(9)


def test_packing_draws_the_same_rows() -> None:
    """With and without packing a step has the same rows: packing changes how they are computed, not what is learned."""
    lengths = rows_like_texts(200)
    packed, padded = (epoch(Order(lengths, TrainingRecipe(packing=flag))) for flag in (True, False))
    for first, second in zip(packed, padded, strict=True):
        assert sorted(rows_of([first])) == sorted(rows_of([second]))


def test_packs_are_few() -> None:
    """Best fit needs hardly more packs than there are tokens for, and the padding of unpacked rows is what it saves."""
    lengths = rows_like_texts(2048)
    (step,) = epoch(Order(lengths, TrainingRecipe(batch_size=2048, micro_batch_size=1)))
    assert len(step) <= 1.01 * lengths.sum() / 1024
    padded = sum(lengths[chosen].max() * len(chosen) for chosen in np.random.default_rng(2).permutation(2048).reshape(-1, 4))
    assert padded > 1.5 * lengths.sum()


def test_similar_lengths_are_together_without_packs() -> None:
    """Where rows are padded, there is much less padding than with rows in random order."""
    lengths = np.random.default_rng(1).lognormal(5, 0.7, 512).astype(np.int64)

    def padded(batches: list[list[int]]) -> int:
        return sum(int(lengths[chosen].max()) * len(chosen) for chosen in batches)

    micro = [chosen for step in epoch(Order(lengths, TrainingRecipe(packing=False))) for chosen in step]
    at_random = np.random.default_rng(2).permutation(512).reshape(-1, 4).tolist()
    assert padded(micro) < 1.4 * lengths.sum() < 0.85 * padded(at_random)


def test_virtual_tokens_are_never_packed() -> None:
    """Prefix and prompt tuning put virtual tokens before every row, so their rows do not share a pack."""
    assert packs_rows(TrainingRecipe())
    assert not packs_rows(TrainingRecipe(packing=False))
    assert not packs_rows(TrainingRecipe(method="prefix"))
    assert not packs_rows(TrainingRecipe(method="prompt"))


@given(own=st.integers(1, 60), others=st.integers(1, 60), taken=st.integers(1, 90), seed=st.integers(0, 3))
def test_parts_of_a_mixture(own: int, others: int, taken: int, seed: int) -> None:
    """Every epoch has all own rows once and as many of the others as were asked for; over the epochs those are seen equally often."""
    order = Order(np.full(own + others, 5), TrainingRecipe(seed=seed, batch_size=7), [Part(own, own), Part(others, taken)])
    seen: Counter[int] = Counter()
    for number in range(4):
        rows = rows_of(epoch(order, number))
        assert sorted(row for row in rows if row < own) == list(range(own))
        assert len(rows) == own + taken == order.rows_per_epoch
        seen.update(row for row in rows if row >= own)
    times = [seen[row] for row in range(own, own + others)]
    assert max(times) - min(times) <= 1


def test_mixed_rows_are_everywhere() -> None:
    """Rows that are mixed in are spread over the steps of an epoch."""
    order = Order(np.full(400, 5), TrainingRecipe(batch_size=20), [Part(320, 320), Part(80, 80)])
    shares = [sum(row >= 320 for row in rows_of([step])) / 20 for step in epoch(order)]
    assert max(shares) < 0.6
    assert sum(shares) == pytest.approx(0.2 * len(shares))


def test_steps_of_a_run() -> None:
    """Epochs may be fractions, ``max_steps`` is an upper bound, and there is at least one step."""

    def steps(rows: int, **settings: float) -> int:
        return Order(np.ones(rows, np.int64), TrainingRecipe(batch_size=16, **settings)).total_steps  # type: ignore[arg-type]  # numbers

    assert steps(100, epochs=3) == 21
    assert steps(100, epochs=0.5) == 4
    assert steps(100, epochs=3, max_steps=5) == 5
    assert steps(3, epochs=0.1) == 1


def test_dropout_differs_from_step_to_step() -> None:
    """Every step has a seed of its own, and so has every run."""
    assert len({step_seed(seed, step) for seed in range(3) for step in range(50)}) == 150


@given(total=st.integers(1, 500), ratio=st.floats(0, 0.5))
def test_rate_rises_then_falls(total: int, ratio: float) -> None:
    """The rate rises to the recipe's, then falls along the cosine, and never leaves (0, rate]."""
    recipe = TrainingRecipe(learning_rate=1e-3, warmup_ratio=ratio)
    rates = [learning_rate(step, total, recipe) for step in range(1, total + 1)]
    top = rates.index(max(rates))
    assert max(rates) == pytest.approx(1e-3)
    assert min(rates) > 0
    assert rates[: top + 1] == sorted(rates[: top + 1])
    assert rates[top:] == sorted(rates[top:], reverse=True)


def test_curve_is_thinned_by_means() -> None:
    """A curve has at most as many points as asked for, each the mean of its neighbours."""
    history = History([StepRecord(step, float(step), 1e-4, 1.0, 10, 5) for step in range(1, 1001)])
    curve = history.curve(200)
    assert len(curve) == 200
    assert curve[0] == 3.0
    assert History([StepRecord(1, 2.5, 1e-4, 1.0, 1, 1)]).curve(200) == [2.5]
