"""What an arm is told, as JSON on its command line; the modules of peers import this file and the standard library before anything else."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any

LINEAR = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
RANK, ALPHA, DROPOUT, SEED = 16, 32, 0.05, 17
RATE = 2e-4


@dataclass(frozen=True)
class Settings:
    """One run of one arm."""

    base: str
    """Folder of the base."""
    rows: str
    """Our own rows (``messages``), or the same rows in the order of our steps as ``prompt`` and ``completion``."""
    work: str
    """Folder for what the arm writes."""
    result: str
    """The JSON file that the arm leaves."""
    steps: int
    step_rows: int
    """Rows of one optimizer step."""
    max_length: int
    gpu: bool = False
    start_only: bool = False
    """Stop at the first forward pass: only the time until then is wanted."""
    options: dict[str, Any] = field(default_factory=dict)
    """What distinguishes this arm from others of the same module."""

    def as_json(self) -> str:
        """For a command line."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Settings:
        """What ``as_json`` gave."""
        return cls(**json.loads(text))
