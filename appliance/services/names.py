"""Names that people give: readable, safe as part of a path, not taken."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import count

from appliance.domain.errors import ApplianceError, ExitCode
from appliance.domain.run import Publication
from appliance.store.store import Store

_ALLOWED = re.compile(r"[^\W_](?:[\w.-]{0,62}[^\W_])?", re.UNICODE)

_LONGEST = 200
"""Bytes."""


def require_good_name(name: str) -> str:
    """Raise ``name_not_allowed`` unless the name is 1–64 letters (of any script), digits, ``-``, ``_`` or ``.``.

    In UTF-8 it has at most 200 bytes: a file's name ends at 255, and ours get endings.
    """
    if not _ALLOWED.fullmatch(name) or len(name.encode()) > _LONGEST:
        raise ApplianceError("name_not_allowed", ExitCode.USAGE, name=name[:80])
    return name


def require_free_names(store: Store, publications: Iterable[Publication], for_run: str) -> None:
    """Raise ``name_taken`` if the registry has one of these names already, ``name_promised`` if another run that is not over will.

    Call it in the transaction that writes the run down, or two front ends promise one name.
    """
    promised = _promised(store, for_run)
    asked: set[tuple[str, str]] = set()
    for publication in publications:
        if publication.noun == "score":
            continue
        require_good_name(publication.name)
        key = (publication.noun, publication.name)
        find = store.datasets.find if publication.noun == "dataset" else store.models.find
        if key in asked or find(publication.name) is not None:
            raise ApplianceError("name_taken", ExitCode.USAGE, name=publication.name)
        if key in promised:
            raise ApplianceError("name_promised", ExitCode.BUSY, name=publication.name, run=promised[key])
        asked.add(key)


def free_stem(store: Store, wanted: str, suffixes: Iterable[str] = ("",)) -> str:
    """``wanted``, or ``wanted-2``, ``wanted-3`` …: the first to which every suffix can be added without meeting a taken name."""
    endings = tuple(suffixes)
    promised = {name for _, name in _promised(store)}
    for number in count(1):
        stem = wanted if number == 1 else f"{wanted}-{number}"
        names = [stem + ending for ending in endings]
        if not any(name in promised or store.datasets.find(name) or store.models.find(name) for name in names):
            return stem
    raise AssertionError("unreachable")


def _promised(store: Store, besides: str = "") -> dict[tuple[str, str], str]:
    """The run that will take a noun's name, for every name that a run which is not over has still to give."""
    return {
        (publication.noun, publication.name): run.id
        for run in store.runs.in_states("queued", "running", "interrupted")
        if run.id != besides
        for planned in store.runs.unfinished(run.id)
        for publication in planned.publications
        if publication.noun != "score"
    }
