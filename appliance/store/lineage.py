"""What was made from what, and how good it is."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
from sqlite_utils import Database

from appliance.domain.model import Parent, Score
from appliance.store.records import decoded, encoded


class Lineage:
    """The edges between datasets and models."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def add(self, edge: Parent) -> None:
        """Remember one edge; an edge that is known already stays as it is."""
        self._db.table("parents").insert(encoded(edge, ()), ignore=True)

    def parents_of(self, child: str) -> tuple[Parent, ...]:
        """What ``child`` was made from."""
        rows = self._db.query("SELECT child, parent, role FROM parents WHERE child = ? ORDER BY role, parent", [child])
        return tuple(msgspec.convert(row, Parent) for row in rows)

    def children_of(self, parent: str) -> tuple[Parent, ...]:
        """What was made from ``parent``."""
        rows = self._db.query("SELECT child, parent, role FROM parents WHERE parent = ? ORDER BY child", [parent])
        return tuple(msgspec.convert(row, Parent) for row in rows)


class Scores:
    """Measured qualities of models."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def add(self, score: Score) -> None:
        """Remember one measurement."""
        self._db.table("scores").insert(encoded(score, ("facts",)))

    def newest(self, model_id: str) -> Iterator[Score]:
        """The newest measurement of every name."""
        rows = self._db.query(
            """SELECT * FROM scores s WHERE model_id = :id AND rowid =
                 (SELECT rowid FROM scores WHERE model_id = :id AND name = s.name ORDER BY created DESC, rowid DESC LIMIT 1)
               ORDER BY name""",
            {"id": model_id},
        )
        for row in rows:
            yield msgspec.convert(decoded(row, ("facts",)), Score)
