"""Rows of datasets."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
from sqlite_utils import Database

from appliance.domain.dataset import Dataset
from appliance.store.records import decoded, encoded, path_found, path_to_keep

_JSON = ("counts", "facts")


class Datasets:
    """The table of datasets."""

    def __init__(self, db: Database, home: Path) -> None:
        self._db = db
        self._home = home

    def add(self, dataset: Dataset) -> None:
        """Insert a row; raises ``sqlite3.IntegrityError`` if id or name exist."""
        row = encoded(dataset, _JSON)
        self._db.table("datasets").insert(row | {"path": path_to_keep(dataset.path, self._home)})

    def find(self, id_or_name: str) -> Dataset | None:
        """The dataset with this id or name."""
        rows = self._db.query("SELECT * FROM datasets WHERE id = :key OR name = :key", {"key": id_or_name})
        return next(map(self._found, rows), None)

    def all(self) -> Iterator[Dataset]:
        """Every dataset, oldest first."""
        yield from map(self._found, self._db.query("SELECT * FROM datasets ORDER BY created, id"))

    def remove(self, dataset_id: str) -> None:
        """Delete a row and what it was made from."""
        with self._db.atomic():
            self._db.execute("DELETE FROM parents WHERE child = ?", [dataset_id])
            self._db.execute("DELETE FROM datasets WHERE id = ?", [dataset_id])

    def _found(self, row: dict[str, Any]) -> Dataset:
        return msgspec.convert(decoded(row, _JSON) | {"path": path_found(row["path"], self._home)}, Dataset)
