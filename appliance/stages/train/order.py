"""Which rows every step takes, and how they go through the model: a function of the seed and the step, so nothing has to be remembered.

An optimizer step takes ``batch_size`` rows, packed or not: packing decides only how they go through the model. The rows of one step fill
as few packs as best fit finds, each of at most ``micro_batch_size`` × ``max_length`` tokens, which is what a micro-batch of padded rows
of the longest kind takes; the gradients of all packs are summed, every trained token weighing the same. So a recipe means the same with
and without packing, and no row is ever seen more or less often because of its length.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from appliance.domain.methods import METHODS
from appliance.domain.recipe import TrainingRecipe
from appliance.stages.language_model.batches import by_length
from appliance.stages.language_model.packing import best_fit

Step = list[list[int]]
"""One optimizer step: its micro-batches, each a list of rows."""


@dataclass(frozen=True)
class Part:
    """Rows of one dataset among all rows, which lie one part after another."""

    rows: int
    """How many there are."""
    taken: int
    """How many of them an epoch sees. All are seen equally often over the epochs, in an order that never repeats."""


class Order:
    """The steps of a run."""

    def __init__(self, lengths: NDArray[np.int64], recipe: TrainingRecipe, parts: Sequence[Part] = ()) -> None:
        self._lengths = lengths
        self._recipe = recipe
        self._parts = tuple(parts) or (Part(len(lengths), len(lengths)),)
        self._drawn: tuple[int, NDArray[np.int64]] = (-1, np.empty(0, np.int64))
        self.rows_per_epoch = sum(part.taken for part in self._parts)
        self.steps_per_epoch = -(-self.rows_per_epoch // recipe.batch_size)

    @property
    def total_steps(self) -> int:
        """Optimizer steps of the whole run: the epochs', or ``max_steps`` if that is less."""
        steps = max(1, round(self._recipe.epochs * self.steps_per_epoch))
        return min(steps, self._recipe.max_steps) if self._recipe.max_steps else steps

    def step(self, number: int) -> Step:
        """The rows of a step (from 1), drawn at random from those that its epoch has not seen yet."""
        epoch, place = divmod(number - 1, self.steps_per_epoch)
        if self._drawn[0] != epoch:
            self._drawn = (epoch, self._rows_of_epoch(epoch))
        start = place * self._recipe.batch_size
        drawn = self._drawn[1][start : start + self._recipe.batch_size].tolist()
        if packs_rows(self._recipe):
            return best_fit(self._lengths, drawn, pack_tokens(self._recipe))
        return by_length(self._lengths, drawn, self._recipe.micro_batch_size)

    def _rows_of_epoch(self, epoch: int) -> NDArray[np.int64]:
        begins = np.cumsum([0, *(part.rows for part in self._parts)])
        taken = [begin + self._taken(number, epoch) for number, begin in enumerate(begins[:-1])]
        return np.random.default_rng((self._recipe.seed, epoch)).permutation(np.concatenate(taken))

    def _taken(self, number: int, epoch: int) -> NDArray[np.int64]:
        """What an epoch takes of a part, which is walked through again and again, each time in another order."""
        part = self._parts[number]
        start, end = epoch * part.taken, (epoch + 1) * part.taken
        walks = range(start // part.rows, -(-end // part.rows))
        orders = [np.random.default_rng((self._recipe.seed, number, walk)).permutation(part.rows) for walk in walks]
        before = walks.start * part.rows
        return np.concatenate(orders)[start - before : end - before]


def packs_rows(recipe: TrainingRecipe) -> bool:
    """Whether rows go through the model as packs: not where a method puts virtual tokens before every row."""
    return recipe.packing and not METHODS[recipe.method].in_prompt


def pack_tokens(recipe: TrainingRecipe) -> int:
    """Tokens of a full pack."""
    return recipe.micro_batch_size * recipe.max_length


def step_seed(seed: int, step: int) -> int:
    """The seed of one step's dropout."""
    return int(np.random.SeedSequence((seed, step)).generate_state(1, np.uint64)[0])
