"""What a person chooses for a training. A plan asks about the same choice that a training starts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from appliance.domain.recipe import Recipe
from appliance.services.planning import Device


@dataclass(frozen=True)
class TrainingChoice:
    """Names of models and datasets, and the recipe."""

    base: str
    dataset: str
    recipe: Recipe
    validation: str | None = None
    """None takes the side that was split off, or splits one off."""
    device: Device = "auto"
    terms: Path | None = None
    """A list of words that become tokens."""
    general: str | None = None
    """The loss on its validation side tells what is forgotten; of its training side the usual share is mixed in against that."""
    mix: tuple[str, ...] = ()
    """Further datasets as ``NAME=SHARE``."""
    without_redaction: bool = False
    """Whether somebody takes the responsibility for rows without a passed report."""
