"""``greenwave database``: looking at the file and going back to a copy of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.processes.locks import try_lock
from appliance.store import copies
from appliance.store.migrations import migrations
from tests.cli.conftest import Greenwave
from tests.store.test_upgrading import NAMES, old_home, older_version


def test_a_home_without_a_database_says_so(greenwave: Greenwave) -> None:
    """Looking makes no database, and says that there is none."""
    for words in (("show",), ("restore",)):
        refused = greenwave("database", *words, "--json")
        assert (refused.status, refused.error["code"]) == (2, "database_missing")


def test_going_back_after_an_upgrade(greenwave: Greenwave, own_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The older version refuses the migrated database, puts the copy from before back when told to, and works again."""
    old_home(own_home, NAMES[-2])
    assert greenwave("runs", "list").status == 0
    older_version(monkeypatch)
    refused = greenwave("runs", "list", "--json")
    assert (refused.status, refused.error["code"]) == (1, "store_too_new")
    assert "greenwave database restore" in refused.error["hint"]
    shown = greenwave("database", "show", "--json").json
    assert shown["database"]["newer"] == [NAMES[-1]]
    assert shown["copies"][0]["newer"] == []
    restored = greenwave("database", "restore", "--json")
    assert restored.status == 0, restored.err
    assert Path(restored.json["kept"]).is_file()
    monkeypatch.setattr(migrations, "_migrations", migrations._migrations[:-1])
    assert greenwave("runs", "show", "夜间").status == 0


def test_going_back_needs_a_reason_and_a_copy(greenwave: Greenwave, own_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A database that this version can open is only replaced by a copy that was named; one that does not exist is refused."""
    old_home(own_home, NAMES[-1])
    for arguments, status, code in (((), 2, "database_fits"), (("x",), 2, "no_such_copy"), (("greenwave.db",), 2, "no_such_copy")):
        refused = greenwave("database", "restore", *arguments, "--json")
        assert (refused.status, refused.error["code"]) == (status, code)
    older_version(monkeypatch)
    refused = greenwave("database", "restore", "--json")
    assert (refused.status, refused.error["code"]) == (3, "no_fitting_copy")


def test_nothing_is_put_back_under_a_run(greenwave: Greenwave, own_home: Path) -> None:
    """While a conductor is at work the database stays, and the run is named."""
    old_home(own_home, NAMES[-2])
    assert greenwave("runs", "list").status == 0
    copy = f"greenwave.db.before-{NAMES[-1]}"
    held = try_lock(own_home / "runs" / "run-9" / "lock")
    assert held is not None
    with held:
        refused = greenwave("database", "restore", copy, "--json")
    assert (refused.status, refused.error["code"], refused.error["parameters"]) == (5, "database_in_use", {"run": "run-9"})
    restored = greenwave("database", "restore", copy)
    assert restored.status == 0
    assert copies.copies(own_home / "greenwave.db")[0].path in restored.err
