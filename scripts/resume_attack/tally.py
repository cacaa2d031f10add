"""What an attack did and found, and what must hold of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

SAVE_STEPS = 5
"""Of the attacked trainings: steps between two checkpoints, and the most that a kill may cost."""
SAME = 1e-6
"""Difference of two losses that counts as none, in nats."""


@dataclass
class Tally:
    """What was done and found."""

    kills: int = 0
    inside: int = 0
    """Kills that left a half-written checkpoint, newer than all published ones."""
    last_written: dict[str, int] = field(default_factory=dict)
    """Of those, by the last file that was there."""
    removing: int = 0
    """Kills in the middle of an old checkpoint's removal."""
    publishing: int = 0
    """Kills that left a half-written result."""
    starting: int = 0
    """Kills before the first step: while libraries, base or checkpoint were loaded."""
    with_conductor: int = 0
    resumes: int = 0
    """Starts after a kill that came as far as training."""
    damaged: int = 0
    from_broken: int = 0
    largest_loss: int = 0
    """Steps that were done and had to be done again, where nothing was damaged besides."""
    trainings: int = 0
    """That were finished in spite of all, each compared with the unbroken one."""
    same_weights: int = 0
    """Of those, with the very same bytes."""
    largest_difference: float = 0.0
    faults: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def add(self, other: dict[str, Any]) -> None:
        """Take another job's tally in."""
        for name, value in other.items():
            ours = getattr(self, name)
            if name.startswith("largest") or name == "seconds":
                setattr(self, name, max(ours, value))
            elif name == "last_written":
                for file, count in value.items():
                    self.last_written[file] = self.last_written.get(file, 0) + count
            else:
                setattr(self, name, ours + value)

    def is_enough(self, kills: int) -> bool:
        """Whether there were so many kills, half of them inside a checkpoint's writing, or it has to be given up that they are."""
        return self.kills >= kills and (2 * self.inside >= self.kills or self.kills >= 2 * kills)

    def broken_bounds(self) -> list[str]:
        """Every bound that does not hold."""
        bounds = {
            f"{self.from_broken} resumes from a broken checkpoint": self.from_broken == 0,
            f"{self.largest_loss} steps lost at once": self.largest_loss <= SAVE_STEPS,
            f"losses differ by {self.largest_difference}": self.largest_difference <= SAME,
            f"only {self.inside} of {self.kills} kills inside a checkpoint's writing": 2 * self.inside >= self.kills,
            "no training was finished": self.trainings > 0,
        }
        return [*(told for told, holds in bounds.items() if not holds), *self.faults]


def show(tally: Tally) -> None:
    """The table for people."""
    written = ", ".join(f"{count} {name}" for name, count in sorted(tally.last_written.items()))
    rows = {
        "kills": f"{tally.kills} ({tally.with_conductor} of them with the conductor)",
        "inside a checkpoint's writing": f"{tally.inside} (last there: {written})",
        "inside an old one's removal": tally.removing,
        "inside the result's publication": tally.publishing,
        "before training": tally.starting,
        "resumes": tally.resumes,
        "checkpoints damaged on purpose": tally.damaged,
        "resumes from broken checkpoints": tally.from_broken,
        "largest loss of steps": f"{tally.largest_loss} (save_steps {SAVE_STEPS})",
        "trainings finished": f"{tally.trainings} ({tally.same_weights} with the very same weights)",
        "largest difference of loss": f"{tally.largest_difference:g}",
        "seconds per kill": round(tally.seconds / max(1, tally.kills), 1),
    }
    for name, value in rows.items():
        print(f"{name:<34}{value}")
