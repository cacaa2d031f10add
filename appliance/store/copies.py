"""Copies of the database from before its schema changed, and the way back to them.

A migration only goes forward, so an older version of Greenwave cannot open a database that a newer one has migrated. Before the first
migration changes anything, the file is copied to ``greenwave.db.before-NAME``; ``put_back`` makes such a copy the database again and keeps
what it replaces as ``greenwave.db.kept-TIME``. Every copy is taken by SQLite's backup API, appears complete or not at all, and is one file.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import msgspec
from pysqlite3 import dbapi2 as sqlite3
from sqlite_utils import Database

from appliance.domain.errors import ApplianceError, ExitCode
from appliance.files.publish import PARTIAL, published_file
from appliance.files.space import require_space
from appliance.store.migrations import migrations, registered

_BEFORE = ".before-"
_KEPT = ".kept-"
_BUSY_SECONDS = 30.0
_PRIMARY = 0xFF
"""Of an extended result code, the bits that are the code itself."""


class DatabaseFile(msgspec.Struct, frozen=True, kw_only=True):
    """The database, or a copy of it."""

    path: str
    size: int
    """Bytes."""
    changed: float
    """Seconds since 1970."""
    migrations: tuple[str, ...]
    """The schema it has, as the migrations that made it."""
    newer: tuple[str, ...]
    """Those of them that this version does not know."""

    @property
    def fits(self) -> bool:
        """Whether this version can open it. A file that is damaged, or no database of ours, has no migrations at all."""
        return bool(self.migrations) and not self.newer


def copy_before(path: Path, migration: str) -> Path:
    """Copy the database as it was last committed, before the named migration changes it; gives the copy's path.

    An earlier copy of that name is replaced: it is of the same schema and older. Raises ``disk_full`` or ``disk_too_small``.
    """
    copy = path.with_name(f"{path.name}{_BEFORE}{migration}")
    _copy(path, copy)
    return copy


def examined(path: Path) -> DatabaseFile:
    """What a file is. Raises ``store_not_writable`` where it cannot be opened, ``store_damaged`` where it is no database."""
    with _opened(path) as connection:
        applied = tuple(done.name for done in migrations.applied(Database(connection)))
    state = path.stat()
    newer = tuple(name for name in applied if name not in registered())
    return DatabaseFile(path=str(path), size=state.st_size, changed=state.st_mtime, migrations=applied, newer=newer)


def copies(path: Path) -> tuple[DatabaseFile, ...]:
    """Copies beside the database, the one with the newest schema first, and of one schema the one that was taken last."""
    found = [one for kind in (_BEFORE, _KEPT) for one in path.parent.glob(f"{path.name}{kind}*") if one.suffix != PARTIAL]
    # The files that SQLite keeps beside one that is in use are no copies.
    known = [_examined_at_all(one) for one in found if one.is_file() and not one.name.endswith(("-wal", "-shm", "-journal"))]
    return tuple(sorted(known, key=lambda one: (len(one.migrations), one.changed), reverse=True))


def _examined_at_all(path: Path) -> DatabaseFile:
    """What a copy is; a damaged one must not hide the others."""
    try:
        return examined(path)
    except ApplianceError:
        return DatabaseFile(path=str(path), size=path.stat().st_size, changed=path.stat().st_mtime, migrations=(), newer=())


def put_back(path: Path, copy: Path) -> Path:
    """Make a copy the database again; gives the path under which the present one is kept.

    The database changes in one transaction of SQLite's, so an interruption leaves the present one or the copy, and processes that have
    it open see no mixture. Raises ``store_too_new`` if this version cannot open the copy either, ``store_foreign`` if it is none of ours.
    """
    chosen = examined(copy)
    if chosen.newer:
        raise ApplianceError("store_too_new", ExitCode.RUN_FAILED, path=str(copy), migrations=", ".join(chosen.newer))
    if not chosen.migrations:
        raise ApplianceError("store_foreign", ExitCode.BAD_DATA, path=str(copy))
    kept = _free_name(path)
    _copy(path, kept)
    with _opened(copy) as source, _opened(path) as target:
        source.backup(target)
    return kept


def _free_name(path: Path) -> Path:
    stamp = time.strftime("%Y%m%d-%H%M%S")
    names = [f"{path.name}{_KEPT}{stamp}", *(f"{path.name}{_KEPT}{stamp}-{number}" for number in range(2, 100))]
    return next(path.with_name(name) for name in names if not path.with_name(name).exists())


def _copy(path: Path, target: Path) -> None:
    require_space(target, path.stat().st_size)
    with published_file(target) as partial, _opened(path) as source, _opened(partial, new=True) as made:
        source.backup(made)
        # A copy is one file: without this it would ask for write-ahead files beside it whenever somebody looks.
        made.execute("PRAGMA journal_mode = DELETE")


@contextmanager
def _opened(path: Path, *, new: bool = False) -> Iterator[Any]:
    """A connection without our schema's rules, for files of any version."""
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode={'rwc' if new else 'rw'}", timeout=_BUSY_SECONDS, uri=True)) as connection:
            yield connection
    except sqlite3.DatabaseError as error:
        raise _named(error, path) from error


def _named(error: Any, path: Path) -> ApplianceError:
    if getattr(error, "sqlite_errorcode", 0) & _PRIMARY == sqlite3.SQLITE_FULL:
        return ApplianceError("disk_full", ExitCode.NO_ROOM, path=str(path))
    code = "store_not_writable" if isinstance(error, sqlite3.OperationalError) else "store_damaged"
    return ApplianceError(code, ExitCode.NO_ROOM, path=str(path), reason=str(error))
