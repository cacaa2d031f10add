"""Running the stage in tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from appliance.domain.event import Artifact, Emit, Event, Produced
from appliance.domain.recipe import TrainingRecipe
from appliance.domain.spec import TrainSpec
from appliance.stages.train import run
from appliance.stages.train.history import History
from tests.stages.language_model.tiny import facts, write_rows

QUICK: dict[str, Any] = {"rank": 4, "alpha": 8, "learning_rate": 0.01, "batch_size": 8, "epochs": 4.0, "dropout": 0.1}


class Trained:
    """One run of the stage: its events and what it left."""

    def __init__(self, base: Path, folder: Path, *, rows: int = 24, listener: Emit | None = None, **recipe: Any) -> None:
        folder.mkdir(exist_ok=True)
        self.events: list[Event] = []
        self.spec = TrainSpec(
            base=str(base),
            train_rows=str(write_rows(folder / "train.jsonl", facts(rows))),
            validation_rows=str(write_rows(folder / "validation.jsonl", facts(rows + 6)[rows:])),
            output=str(folder / "adapter"),
            checkpoints=str(folder / "checkpoints"),
            recipe=TrainingRecipe(**QUICK | recipe),
            device="cpu",
        )
        self._listener = listener

    def run(self) -> Trained:
        """Do the work."""
        run(self.spec, self._hear)
        return self

    def _hear(self, event: Event) -> None:
        self.events.append(event)
        if self._listener:
            self._listener(event)

    def of(self, kind: type[Any]) -> list[Any]:
        """All events of one kind."""
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def artifact(self) -> Artifact:
        """The adapter."""
        (produced,) = self.of(Produced)
        made: Artifact = produced.artifact
        return made

    @property
    def history(self) -> History:
        """Every step, from the published folder."""
        story = msgspec.json.decode((Path(self.spec.output) / "training.json").read_bytes())
        return msgspec.convert(story["history"], History)


Train = Callable[..., Trained]
