"""Between rows of a table and structures of the domain.

JSON columns are text in SQLite and values outside. Paths below the home are kept relative to it, so that a home which was moved, mounted
elsewhere or restored from a backup still finds its files; outside they are absolute.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec


def encoded(record: msgspec.Struct, json_columns: Iterable[str]) -> dict[str, Any]:
    """A structure as a row, with the named columns as JSON text."""
    row = {name: getattr(record, name) for name in record.__struct_fields__}
    return row | {column: msgspec.json.encode(row[column]).decode() for column in json_columns}


def decoded(row: dict[str, Any], json_columns: Iterable[str]) -> dict[str, Any]:
    """A row with the named columns read as JSON."""
    return row | {column: msgspec.json.decode(row[column]) for column in json_columns}


def path_to_keep(path: str, home: Path) -> str:
    """A path as the row keeps it."""
    return str(Path(path).relative_to(home)) if Path(path).is_relative_to(home) else path


def path_found(kept: str, home: Path) -> str:
    """A row's path as everybody else uses it."""
    return str(home / kept)
