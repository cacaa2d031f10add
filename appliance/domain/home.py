"""Where everything lies: the layout below ``GREENWAVE_HOME``. Computes paths, touches nothing."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Home:
    """The folder that holds the database, datasets, models and runs."""

    root: Path

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Home:
        """``GREENWAVE_HOME``, else the user's data folder as the XDG base directory specification has it."""
        chosen = environment.get("GREENWAVE_HOME")
        if chosen:
            return cls(Path(chosen).expanduser().absolute())
        data = environment.get("XDG_DATA_HOME") or "~/.local/share"
        return cls(Path(data).expanduser().absolute() / "greenwave")

    @property
    def runs(self) -> Path:
        """Folders of runs: logs, specifications, checkpoints."""
        return self.root / "runs"

    @property
    def cache(self) -> Path:
        """What can be made again at any time: removing it costs nothing but time."""
        return self.root / "cache"

    @property
    def copies(self) -> Path:
        """Models that are being copied in, or were until a medium was pulled out; they become models by a rename."""
        return self.root / "models" / ".copies"

    @property
    def heavy_lock(self) -> Path:
        """Held by the conductor whose stage uses the machine's memory or GPU."""
        return self.root / "runs" / "heavy.lock"

    @property
    def sheets(self) -> Path:
        """What self-tests found, as text to print and sign."""
        return self.root / "sheets"

    def dataset_key(self, dataset_id: str) -> Path:
        """Where a key of pseudonyms is kept if somebody asks for that: not beside the data."""
        return self.root / "keys" / f"{dataset_id}.key"

    def run(self, run_id: str) -> Path:
        """Folder of one run."""
        return self.runs / run_id

    def run_lock(self, run_id: str) -> Path:
        """Held by the run's conductor as long as it lives."""
        return self.run(run_id) / "lock"

    def stage_log(self, run_id: str, position: int, stage: str) -> Path:
        """Standard error of a stage's worker."""
        return self.run(run_id) / f"{position:02d}-{stage}.log"

    def stage_spec(self, run_id: str, position: int, stage: str) -> Path:
        """The stage's specification as its worker read it."""
        return self.run(run_id) / f"{position:02d}-{stage}.json"

    def checkpoints(self, run_id: str) -> Path:
        """Checkpoints of the run's training."""
        return self.run(run_id) / "checkpoints"

    def artefact(self, noun: str, identifier: str) -> Path:
        """Folder of a dataset or model; a publication that never came about leaves nothing but this folder."""
        return self.root / f"{noun}s" / identifier
