"""A file of given bytes, imported: what came out and what was said."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from appliance.domain.event import Artifact, Event, Notice, Produced
from appliance.domain.spec import IngestSpec
from appliance.stages import ingest


@dataclass
class Imported:
    """What one import left behind."""

    folder: Path
    events: list[Event] = field(default_factory=list)

    @property
    def rows(self) -> list[dict[str, Any]]:
        """Accepted rows."""
        return _lines(self.folder / "rows.jsonl")

    @property
    def turns(self) -> list[list[tuple[str, str]]]:
        """Accepted rows as pairs of role and content."""
        return [[(message["role"], message["content"]) for message in row["messages"]] for row in self.rows]

    @property
    def rejected(self) -> list[dict[str, Any]]:
        """Rows that were not accepted."""
        return _lines(self.folder / "rejected.jsonl")

    @property
    def reasons(self) -> list[tuple[int, str]]:
        """Line and reason of every rejected row."""
        return [(row["line"], row["reason"]) for row in self.rejected]

    @property
    def artifact(self) -> Artifact:
        """What was announced."""
        return next(event.artifact for event in self.events if isinstance(event, Produced))

    @property
    def facts(self) -> dict[str, Any]:
        """The artifact's facts."""
        return self.artifact.facts

    @property
    def notices(self) -> dict[str, dict[str, Any]]:
        """Parameters of the notices by code."""
        return {event.code: event.parameters for event in self.events if isinstance(event, Notice)}


@pytest.fixture
def import_bytes(tmp_path: Path) -> Callable[..., Imported]:
    """``import_bytes(data, name="rows.jsonl", **choices of IngestSpec)``."""

    def importing(data: bytes, name: str = "rows.jsonl", **choices: Any) -> Imported:
        source = tmp_path / name
        source.write_bytes(data)
        imported = Imported(tmp_path / f"{name}.dataset")
        ingest.run(IngestSpec(source=str(source), output=str(imported.folder), **choices), imported.events.append)
        return imported

    return importing


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]
