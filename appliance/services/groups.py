"""Rows that belong together, listed before anything becomes of them. What was found is kept until the disk is wanted for something else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import msgspec

from appliance.domain.dataset import ROWS_FILE
from appliance.domain.errors import ApplianceError, ExitCode
from appliance.domain.event import Event, Produced
from appliance.domain.home import Home
from appliance.domain.spec import GroupSpec
from appliance.running.direct import stage_events
from appliance.services.datasets import DatasetService

GroupKind = Literal["near_duplicates", "contradictions"]
LOWEST, HIGHEST = 0.3, 1.0
"""Similarities that can be asked for."""
_PATIENCE = 3600.0
"""Seconds without a word after which a search is given up."""


class GroupService:
    """What front ends ask about groups of rows."""

    def __init__(self, home: Home, datasets: DatasetService) -> None:
        self._home = home
        self._datasets = datasets

    def find(
        self, key: str, kind: GroupKind = "near_duplicates", similarity: float = 0.8, tell: Callable[[Event], None] = lambda _event: None
    ) -> tuple[dict[str, int], Iterator[dict[str, Any]]]:
        """How many groups and rows there are, and the groups, the largest first (a thousand at most, 20 rows of each).

        Raises ``similarity_out_of_range``.
        """
        if not LOWEST <= similarity <= HIGHEST:
            raise ApplianceError("similarity_out_of_range", ExitCode.USAGE, similarity=similarity, lowest=LOWEST, highest=HIGHEST)
        dataset = self._datasets.get(key)
        name = f"{dataset.sha256}-{kind}" + (f"-{similarity:g}" if kind == "near_duplicates" else "")
        place, counted = self._home.cache / "groups" / f"{name}.jsonl", self._home.cache / "groups" / f"{name}.json"
        if not (place.is_file() and counted.is_file()):
            spec = GroupSpec(rows=str(Path(dataset.path) / ROWS_FILE), output=str(place), kind=kind, similarity=similarity)
            for event in stage_events("group", spec, _PATIENCE):
                tell(event)
                if isinstance(event, Produced):
                    counted.write_bytes(msgspec.json.encode(event.artifact.facts))
        facts: dict[str, int] = msgspec.json.decode(counted.read_bytes())
        return facts, _groups(place)


def _groups(place: Path) -> Iterator[dict[str, Any]]:
    with place.open("rb") as lines:
        yield from map(msgspec.json.decode, lines)
