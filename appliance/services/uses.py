"""Who needs a dataset or model: what was made from it, and runs that will still read it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from appliance.domain.errors import ApplianceError, ExitCode
from appliance.store.store import Store


def dependants(store: Store, identifier: str, role: str = "") -> dict[str, Any]:
    """What was made from a dataset or model, and from that, down to what nothing was made from: ``{id, name, kind, role, children}``."""
    return _tree(store, identifier, role, frozenset())


def removal_order(tree: dict[str, Any]) -> list[str]:
    """Names of everything below the root of ``dependants``, each after what was made from it: the order in which they can be deleted."""
    names: dict[str, None] = {}
    for child in tree["children"]:
        names |= dict.fromkeys([*removal_order(child), child["name"]])
    return list(names)


def require_unused(store: Store, identifier: str, name: str, folder: Path) -> None:
    """Raise ``still_needed`` if something was made from it, ``in_use`` if a run that is not over has still to read its ``folder``.

    Call it in the transaction that deletes the row.
    """
    if made := removal_order(dependants(store, identifier)):
        raise ApplianceError("still_needed", ExitCode.USAGE, name=name, children=", ".join(made))
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


def _tree(store: Store, identifier: str, role: str, above: frozenset[str]) -> dict[str, Any]:
    found = store.models.find(identifier) or store.datasets.find(identifier)
    node: dict[str, Any] = {"id": identifier, "name": found.name if found else identifier, "role": role}
    node["kind"] = found.kind if found else "removed"
    edges = store.lineage.children_of(identifier) if identifier not in above else ()
    node["children"] = [_tree(store, edge.child, edge.role, above | {identifier}) for edge in edges]
    return node
