"""Opening the SQLite file: a version that is known to be safe, write-ahead logging, the newest schema."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pysqlite3 import dbapi2 as sqlite3
from sqlite_utils import Database

from appliance.domain.errors import ApplianceError, ExitCode
from appliance.store.copies import copy_before
from appliance.store.migrations import migrations, registered

MINIMUM_SQLITE = (3, 51, 3)
"""Write-ahead logging could corrupt a database silently in 3.7.0 to 3.51.2 (sqlite.org, release notes of 3.51.3)."""

_BUSY_SECONDS = 30.0
_PRIMARY = 0xFF
"""Of an extended result code, the bits that are the code itself."""


class _Connection(sqlite3.Connection):  # type: ignore[misc]  # pysqlite3 comes without types
    """Names a full disk as what it is, and leaves no transaction behind that could not be completed."""

    def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
        """Run one statement; raises ``disk_full``."""
        try:
            return super().execute(sql, *parameters)
        except sqlite3.OperationalError as error:
            raise self._named(error) from error

    def executemany(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
        """Run one statement for many rows; raises ``disk_full``."""
        try:
            return super().executemany(sql, *parameters)
        except sqlite3.OperationalError as error:
            raise self._named(error) from error

    def _named(self, error: Any) -> Any:
        if error.sqlite_errorcode & _PRIMARY != sqlite3.SQLITE_FULL:
            return error
        # A transaction that is still open after its COMMIT failed would take in whatever is written next, and keep all others out.
        super().rollback()
        path = super().execute("PRAGMA database_list").fetchone()[2]
        return ApplianceError("disk_full", ExitCode.NO_ROOM, path=path)


def open_database(path: Path) -> Database:
    """The database at ``path``, created or migrated as needed. Safe to call from several processes at once.

    Raises ``sqlite_too_old``, ``store_not_writable``, ``store_damaged`` or ``store_too_new``.
    """
    if sqlite3.sqlite_version_info < MINIMUM_SQLITE:
        needed = ".".join(map(str, MINIMUM_SQLITE))
        raise ApplianceError("sqlite_too_old", ExitCode.RUN_FAILED, version=sqlite3.sqlite_version, needed=needed)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(str(path), timeout=_BUSY_SECONDS, check_same_thread=False, factory=_Connection)
    except (OSError, sqlite3.OperationalError) as error:
        raise ApplianceError("store_not_writable", ExitCode.NO_ROOM, path=str(path), reason=str(error)) from error
    db = Database(connection)
    try:
        db.enable_wal()
        # A registry row must survive a power cut, so every commit waits for the disk.
        db.execute("PRAGMA synchronous = FULL")
        db.execute("PRAGMA foreign_keys = ON")
        _migrate(db, path)
    except sqlite3.DatabaseError as error:
        db.close()
        damaged = not isinstance(error, sqlite3.OperationalError)
        code = "store_damaged" if damaged else "store_not_writable"
        raise ApplianceError(code, ExitCode.NO_ROOM, path=str(path), reason=str(error)) from error
    except BaseException:
        db.close()  # a migration that was stopped must not keep the lock
        raise
    return db


def sqlite_version() -> str:
    """Version of the SQLite library in use."""
    return str(sqlite3.sqlite_version)


def _migrate(db: Database, path: Path) -> None:
    newer = sorted({done.name for done in migrations.applied(db)} - registered())
    if newer:
        raise ApplianceError("store_too_new", ExitCode.RUN_FAILED, path=str(path), migrations=", ".join(newer))
    if migrations.pending(db):
        # IMMEDIATE takes the write lock before looking again: of two processes that start together one waits, then finds nothing to do.
        db.execute("BEGIN IMMEDIATE")
        if migrations.applied(db) and (pending := migrations.pending(db)):
            # A migration only goes forward. The way back to the version that wrote the file is a copy, complete before anything changes.
            copy_before(path, pending[0].name)
        migrations.apply(db)
        db.execute("COMMIT")
