"""Rows of models."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
from sqlite_utils import Database

from appliance.domain.model import Model
from appliance.store.records import decoded, encoded, path_found, path_to_keep

_JSON = ("facts",)


class Models:
    """The table of models."""

    def __init__(self, db: Database, home: Path) -> None:
        self._db = db
        self._home = home

    def add(self, model: Model) -> None:
        """Insert a row; raises ``sqlite3.IntegrityError`` if id or name exist."""
        row = encoded(model, _JSON)
        self._db.table("models").insert(row | {"path": path_to_keep(model.path, self._home)})

    def find(self, id_or_name: str) -> Model | None:
        """The model with this id or name."""
        rows = self._db.query("SELECT * FROM models WHERE id = :key OR name = :key", {"key": id_or_name})
        return next(map(self._found, rows), None)

    def all(self) -> Iterator[Model]:
        """Every model, oldest first."""
        yield from map(self._found, self._db.query("SELECT * FROM models ORDER BY created, id"))

    def remove(self, model_id: str) -> None:
        """Delete a row and what it was made from."""
        with self._db.atomic():
            self._db.execute("DELETE FROM parents WHERE child = ?", [model_id])
            self._db.execute("DELETE FROM models WHERE id = ?", [model_id])

    def _found(self, row: dict[str, Any]) -> Model:
        return msgspec.convert(decoded(row, _JSON) | {"path": path_found(row["path"], self._home)}, Model)
