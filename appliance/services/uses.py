"""Who needs a dataset or model: what was made from it, and runs that will still read it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from appliance.domain.errors import ApplianceError, ExitCode
from appliance.store.store import Store


def require_unused(store: Store, identifier: str, name: str, folder: Path) -> None:
    """Raise ``still_needed`` if something was made from it, ``in_use`` if a run that is not over has still to read its ``folder``.

    Call it in the transaction that deletes the row.
    """
    children = [edge.child for edge in store.lineage.children_of(identifier)]
    if children:
        found = [store.datasets.find(child) or store.models.find(child) for child in children]
        names = [made.name if made else child for made, child in zip(found, children, strict=True)]
        raise ApplianceError("still_needed", ExitCode.USAGE, name=name, children=", ".join(names))
    for run in store.runs.in_states("queued", "running", "interrupted"):
        values = (value for planned in store.runs.unfinished(run.id) for value in _strings(planned.spec))
        if any(Path(value).is_relative_to(folder) for value in values):
            raise ApplianceError("in_use", ExitCode.BUSY, name=name, run=run.id)


def _strings(value: Any) -> Iterator[str]:
    """Every string in a JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _strings(inner)
