"""Rows cleaned by a recipe: what is left, what is not, and the report."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from appliance.domain.event import Artifact, Event, Produced
from appliance.domain.recipe import CleaningRecipe
from appliance.domain.row import Row, row_to_json
from appliance.domain.spec import CleanSpec
from appliance.stages import clean


@dataclass
class Cleaned:
    """What one cleaning left behind."""

    folder: Path
    events: list[Event] = field(default_factory=list)

    @property
    def rows(self) -> list[dict[str, Any]]:
        """Rows that are left."""
        return [json.loads(line) for line in (self.folder / "rows.jsonl").read_bytes().splitlines()]

    @property
    def answers(self) -> list[str]:
        """Last turn of every row that is left."""
        return [row["messages"][-1]["content"] for row in self.rows]

    @property
    def rejected(self) -> list[dict[str, Any]]:
        """Rows that were left out."""
        return [json.loads(line) for line in (self.folder / "rejected.jsonl").read_bytes().splitlines()]

    @property
    def artifact(self) -> Artifact:
        """What was announced."""
        return next(event.artifact for event in self.events if isinstance(event, Produced))


@pytest.fixture
def clean_rows(tmp_path: Path) -> Callable[..., Cleaned]:
    """``clean_rows([row, …], **fields of CleaningRecipe, processes, base)``; every call writes to a folder of its own."""
    calls: list[Cleaned] = []

    def cleaning(rows: Sequence[Row], **fields: Any) -> Cleaned:
        folder = tmp_path / str(len(calls))
        folder.mkdir()
        (folder / "rows.jsonl").write_bytes(b"".join(row_to_json(row) + b"\n" for row in rows))
        cleaned = Cleaned(folder / "dataset")
        calls.append(cleaned)
        processes, base = fields.pop("processes", None), fields.pop("base", "")
        spec = CleanSpec(rows=str(folder / "rows.jsonl"), output=str(cleaned.folder), base=base, recipe=CleaningRecipe(**fields))
        clean.run(spec, cleaned.events.append, processes)
        return cleaned

    return cleaning
