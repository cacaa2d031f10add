"""A run: an ordered plan of stages, and the states that a run and its stages go through."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

RunState = Literal["queued", "running", "done", "failed", "cancelled", "interrupted"]
StageState = Literal["pending", "running", "done", "failed", "cancelled", "interrupted"]

ENDED_STATES: frozenset[str] = frozenset({"done", "failed", "cancelled"})
"""States that a run never leaves by itself; ``failed`` and ``cancelled`` may be resumed on request."""


class Publication(msgspec.Struct, frozen=True, kw_only=True):
    """The row that a stage's result becomes in the registry once the result is in its place."""

    role: str
    """Which of the stage's artifacts this is."""
    noun: Literal["dataset", "model", "score"]
    id: str
    """Of the new dataset or model; for ``score``, of the model that was examined."""
    name: str = ""
    kind: str = ""
    parents: tuple[tuple[str, str], ...] = ()
    """Pairs of (parent id, role)."""


class PlannedStage(msgspec.Struct, frozen=True, kw_only=True):
    """One stage of a plan: which function, with which specification, and what becomes of its results."""

    stage: str
    """A name of ``running/stage_table.py``."""
    spec: dict[str, Any]
    """The stage's specification as JSON values, see ``domain/spec.py``."""
    publications: tuple[Publication, ...] = ()
    title: str = ""
    """Key of the texts that tells two stages of the same name apart; empty for the stage's own name."""


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the registry."""

    id: str
    name: str
    state: RunState
    created: float
    started: float | None = None
    ended: float | None = None
    wish: Literal["", "cancel"] = ""
    """What a person has asked of a run that goes on; its conductor looks here."""
    recipe: dict[str, Any] = {}
    failure: dict[str, Any] = {}
    """``code``, ``parameters``, ``exit_code`` and ``log`` (the last lines) of a run that failed."""
    pid: int | None = None
    """Of the conductor, for display only: whether a run is alive is told by its lock."""


class StageRecord(msgspec.Struct, frozen=True, kw_only=True):
    """How one stage of a run went."""

    run_id: str
    position: int
    stage: str
    title: str = ""
    state: StageState = "pending"
    started: float | None = None
    ended: float | None = None
    peak_memory: int = 0
    """Largest resident set of the worker or one of its children, in bytes."""
    facts: dict[str, Any] = {}
