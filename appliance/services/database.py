"""The database as a file: its schema, its copies, and going back to one after a newer version has been at work."""

from __future__ import annotations

from pathlib import Path

import msgspec

from appliance.domain.errors import ApplianceError, ExitCode
from appliance.domain.home import Home
from appliance.running.launch import is_alive
from appliance.store.copies import DatabaseFile, copies, examined, put_back
from appliance.store.store import DATABASE_FILE


class Files(msgspec.Struct, frozen=True, kw_only=True):
    """The database and what can be gone back to."""

    database: DatabaseFile
    copies: tuple[DatabaseFile, ...]


class DatabaseService:
    """Looks at the file from outside, so it works where the workbench refuses to open it."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._path = home.root / DATABASE_FILE

    def files(self) -> Files:
        """The database and its copies. Raises ``database_missing``."""
        if not self._path.is_file():
            raise ApplianceError("database_missing", ExitCode.USAGE, path=str(self._path))
        return Files(database=examined(self._path), copies=copies(self._path))

    def restore(self, copy: Path | None = None) -> tuple[DatabaseFile, str]:
        """Put a copy back, without a name the newest that this version can open; gives it and the path of what it replaced.

        Without a name only a database that this version cannot open is replaced. Raises ``database_fits``, ``no_fitting_copy`` or
        ``database_in_use``.
        """
        files = self.files()
        if copy is None:
            if files.database.fits:
                raise ApplianceError("database_fits", ExitCode.USAGE, path=files.database.path)
            fitting = next((one for one in files.copies if one.fits), None)
            if fitting is None:
                raise ApplianceError("no_fitting_copy", ExitCode.BAD_DATA, path=files.database.path)
        else:
            fitting = self._named(copy)
        self._refuse_beside_runs()
        return fitting, str(put_back(self._path, Path(fitting.path)))

    def _named(self, copy: Path) -> DatabaseFile:
        path = copy if copy.is_absolute() else self._home.root / copy
        if not path.is_file() or path.resolve() == self._path.resolve():
            raise ApplianceError("no_such_copy", ExitCode.USAGE, path=str(path))
        return examined(path)

    def _refuse_beside_runs(self) -> None:
        """A conductor that is at work would go on writing about a run that the copy does not know."""
        folders = self._home.runs.iterdir() if self._home.runs.is_dir() else ()
        alive = next((folder.name for folder in folders if folder.is_dir() and is_alive(self._home, folder.name)), None)
        if alive:
            raise ApplianceError("database_in_use", ExitCode.BUSY, run=alive)
