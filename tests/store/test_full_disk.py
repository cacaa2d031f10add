"""A disk that fills while the store is written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from appliance.domain.errors import ApplianceError, ExitCode
from appliance.domain.event import Metric
from appliance.domain.run import Run
from appliance.store.store import DATABASE_FILE, Store

MUCH: dict[str, Any] = {"log": "x" * 200_000}


def set_limit(store: Store, pages: int) -> None:
    """Let the file grow to this many pages and no further: SQLite says of it what it says of a full disk."""
    store._db.execute(f"PRAGMA max_page_count = {pages}")


def change(store: Store) -> None:
    """One statement."""
    store.runs.change("r", state="failed", failure=MUCH)


def append(store: Store) -> None:
    """Many rows in a transaction of their own."""
    store.events.append("r", 0, [(1.0, Metric("x" * 1000, 0, 1.0))] * 1000)


def change_twice(store: Store) -> None:
    """A transaction whose first part has room."""
    with store.transaction():
        store.runs.change("r", state="failed")
        store.runs.change("r", failure=MUCH)


@pytest.mark.parametrize("write", [change, append, change_twice])
def test_a_full_disk_is_named_and_nothing_stays_open(tmp_path: Path, write: Callable[[Store], None]) -> None:
    """One sentence with exit code 4; nothing is half-written, others can write, and with room so can we."""
    store, other = Store(tmp_path), Store(tmp_path)
    store.runs.add(Run(id="r", name="n", state="running", created=1.0), [])
    set_limit(store, 1)
    with pytest.raises(ApplianceError) as caught:
        write(store)
    assert (caught.value.code, caught.value.exit_code) == ("disk_full", ExitCode.NO_ROOM)
    assert caught.value.parameters["path"] == str(tmp_path / DATABASE_FILE)
    found = other.runs.find("r")
    assert found is not None and (found.state, found.failure) == ("running", {})
    assert list(other.events.after("r")) == []
    other.runs.change("r", wish="cancel")
    set_limit(store, 1 << 30)
    store.runs.change("r", state="failed", failure=MUCH)
    found = other.runs.find("r")
    assert found is not None and (found.state, found.failure, found.wish) == ("failed", MUCH, "cancel")
