"""The store: every table behind one object that one thread uses."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from appliance.store.chats import Chats
from appliance.store.database import open_database
from appliance.store.datasets import Datasets
from appliance.store.events import Events
from appliance.store.lineage import Lineage, Scores
from appliance.store.models import Models
from appliance.store.runs import Runs

DATABASE_FILE = "greenwave.db"


class Store:
    """Open it once per thread; closing is left to ``close`` or to the end of the process."""

    def __init__(self, home: Path) -> None:
        self._db = open_database(home / DATABASE_FILE)
        self.datasets = Datasets(self._db, home)
        self.models = Models(self._db, home)
        self.lineage = Lineage(self._db)
        self.scores = Scores(self._db)
        self.runs = Runs(self._db)
        self.events = Events(self._db)
        self.chats = Chats(self._db)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All writes of the block, or none, and nobody else writes between what the block reads and what it writes."""
        if self._db.conn.in_transaction:
            raise RuntimeError("transactions do not nest")
        # A transaction that begins with reading cannot wait for its turn to write: SQLite refuses it when another was quicker.
        self._db.conn.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.conn.execute("COMMIT")
        except BaseException:
            self._db.conn.rollback()
            raise

    def close(self) -> None:
        """Give the file back."""
        self._db.close()
