"""Rows of runs and of their stages."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
from sqlite_utils import Database

from appliance.domain.run import PlannedStage, Run, RunState, StageRecord, StageState
from appliance.store.records import decoded, encoded

_JSON = ("recipe", "failure")


class Runs:
    """The table of runs."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def add(self, run: Run, plan: Iterable[PlannedStage]) -> None:
        """Insert a run with its whole plan, or nothing."""
        with self._db.atomic():
            self._db.table("runs").insert(encoded(run, _JSON))
            for position, planned in enumerate(plan):
                row = {"run_id": run.id, "position": position, "stage": planned.stage, "title": planned.title, "state": "pending"}
                self._db.table("stages").insert(row | {"plan": msgspec.json.encode(planned).decode(), "facts": "{}"})

    def find(self, key: str) -> Run | None:
        """The run with this id, or the newest whose id begins so or whose name is this."""
        if not key:
            return None  # every id begins with nothing; a script's empty variable means no run
        rows = self._db.query(
            """SELECT * FROM runs WHERE id = :key OR name = :key OR substr(id, 1, length(:key)) = :key
               ORDER BY id = :key DESC, created DESC LIMIT 1""",
            {"key": key},
        )
        return next((_run(row) for row in rows), None)

    def newest(self, limit: int = -1) -> Iterator[Run]:
        """Runs, newest first."""
        yield from map(_run, self._db.query("SELECT * FROM runs ORDER BY created DESC, id DESC LIMIT ?", [limit]))

    def in_states(self, *states: RunState) -> Iterator[Run]:
        """Runs in any of these states, oldest first."""
        marks = ", ".join("?" for _ in states)
        yield from map(_run, self._db.query(f"SELECT * FROM runs WHERE state IN ({marks}) ORDER BY created", list(states)))

    def change(self, run_id: str, **columns: Any) -> None:
        """Set columns of a run: ``state``, ``started``, ``ended``, ``wish``, ``failure``, ``pid``."""
        if "failure" in columns:
            columns["failure"] = msgspec.json.encode(columns["failure"]).decode()
        self._db.table("runs").update(run_id, columns)

    def replace_state(self, run_id: str, expected: Iterable[RunState], new: RunState, **columns: Any) -> bool:
        """Set the state only if it is still one of ``expected``; True if it was."""
        states = list(expected)
        settings = "".join(f", {name} = ?" for name in columns)
        marks = ", ".join("?" for _ in states)
        cursor = self._db.execute(
            f"UPDATE runs SET state = ?{settings} WHERE id = ? AND state IN ({marks})", [new, *columns.values(), run_id, *states]
        )
        return bool(cursor.rowcount == 1)

    def wish_of(self, run_id: str) -> str:
        """What a person has asked of the run."""
        return str(next(iter(self._db.execute("SELECT wish FROM runs WHERE id = ?", [run_id])), ("",))[0])

    def plan(self, run_id: str) -> tuple[PlannedStage, ...]:
        """The stages that the run was made of."""
        rows = self._db.execute("SELECT plan FROM stages WHERE run_id = ? ORDER BY position", [run_id])
        return tuple(msgspec.json.decode(row[0], type=PlannedStage) for row in rows)

    def unfinished(self, run_id: str) -> tuple[PlannedStage, ...]:
        """Those of the run's stages that are not done yet, in order."""
        rows = self._db.execute("SELECT plan FROM stages WHERE run_id = ? AND state != 'done' ORDER BY position", [run_id])
        return tuple(msgspec.json.decode(row[0], type=PlannedStage) for row in rows)

    def stages(self, run_id: str) -> tuple[StageRecord, ...]:
        """How each stage went, in order."""
        rows = self._db.query(
            """SELECT run_id, position, stage, title, state, started, ended, peak_memory, facts FROM stages
               WHERE run_id = ? ORDER BY position""",
            [run_id],
        )
        return tuple(msgspec.convert(decoded(row, ("facts",)), StageRecord) for row in rows)

    def change_stage(self, run_id: str, position: int, state: StageState | None = None, **columns: Any) -> None:
        """Set columns of a stage: ``started``, ``ended``, ``peak_memory``, ``facts``."""
        if "facts" in columns:
            columns["facts"] = msgspec.json.encode(columns["facts"]).decode()
        if state is not None:
            columns["state"] = state
        self._db.table("stages").update((run_id, position), columns)


def _run(row: dict[str, Any]) -> Run:
    return msgspec.convert(decoded(row, _JSON), Run)
