"""Databases of earlier versions: migrated with every row, copied before, and gone back to."""

from __future__ import annotations

import hashlib
import sqlite3 as plain_sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from sqlite_utils import Database

from appliance.domain.errors import ApplianceError
from appliance.domain.event import Finished
from appliance.store import copies, database
from appliance.store.copies import put_back
from appliance.store.migrations import migrations
from appliance.store.store import DATABASE_FILE, Store

OLD = Path(__file__).parent / "databases"
NAMES = [migration.name for migration in migrations.pending(Database(memory=True))]
TABLES = ("datasets", "models", "parents", "scores", "runs", "stages", "events", "chats", "chat_turns")


def old_home(folder: Path, schema: str) -> Path:
    """A home whose database is as the version left it whose newest migration this was."""
    folder.mkdir(exist_ok=True)
    with closing(plain_sqlite3.connect(folder / DATABASE_FILE)) as made:
        made.executescript((OLD / f"{schema}.sql").read_text("utf-8"))
    return folder


def rows_of(path: Path) -> dict[str, list[tuple[object, ...]]]:
    """Every row of every table that the file has."""
    with closing(plain_sqlite3.connect(path)) as opened:
        there = {name for (name,) in opened.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        return {table: sorted(opened.execute(f"SELECT * FROM {table}"), key=repr) for table in TABLES if table in there}


def schema_of(path: Path) -> set[tuple[str, str]]:
    """Every table and index with its definition."""
    with closing(plain_sqlite3.connect(path)) as opened:
        return set(opened.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL"))


def test_every_schema_is_kept_as_a_database() -> None:
    """Each migration has a database of its time (``scripts/make-database-dumps``), so that upgrading from it is tested."""
    assert sorted(path.stem for path in OLD.glob("*.sql")) == sorted(NAMES)


@pytest.mark.parametrize("schema", NAMES)
def test_an_old_database_is_migrated_with_every_row(tmp_path: Path, schema: str) -> None:
    """What an earlier version wrote is all there after the newest has opened it, and the schema is that of a new database."""
    home = old_home(tmp_path / "old", schema)
    before = rows_of(home / DATABASE_FILE)
    Store(home).close()
    after = rows_of(home / DATABASE_FILE)
    assert {table: after[table] for table in before} == before
    Store(tmp_path / "new").close()
    assert schema_of(home / DATABASE_FILE) == schema_of(tmp_path / "new" / DATABASE_FILE)


def test_old_rows_are_read_as_nouns(tmp_path: Path) -> None:
    """Datasets, models, runs, stages, events and chats of the database come out of the store as this version's nouns."""
    store = Store(old_home(tmp_path / "home", NAMES[-1]))
    assert [one.path for one in store.datasets.all()] == [str(tmp_path / "home/datasets/ds-1/rows.jsonl"), "/media/usb/x"]
    assert [one.name for one in store.models.all()] == ["qwen", "交警一号"]
    assert [edge.parent for edge in store.lineage.parents_of("md-2")] == ["md-1", "ds-1"]
    assert [score.value for score in store.scores.newest("md-2")] == [0.93]
    assert [(run.id, run.state) for run in store.runs.newest()] == [("run-2", "interrupted"), ("run-1", "done")]
    assert store.runs.stages("run-1")[0].facts == {"loss": 0.5}
    assert store.runs.plan("run-1")[0].spec == {"n": 1}
    assert [one.event for one in store.events.after("run-1")][-1] == Finished()
    assert store.chats.turns("ch-1")[0].answers[0].text == "按规定处罚。"


def test_a_database_is_copied_before_it_is_migrated(tmp_path: Path) -> None:
    """The copy is one complete file of the old schema with the old rows; a database that needs no migration is not copied."""
    home = old_home(tmp_path, "m001_registry")
    path = home / DATABASE_FILE
    rows, schema = rows_of(path), schema_of(path)
    Store(home).close()
    assert [one.name for one in sorted(home.iterdir())] == [DATABASE_FILE, f"{DATABASE_FILE}.before-m002_runs"]
    copy = home / f"{DATABASE_FILE}.before-m002_runs"
    assert (rows_of(copy), schema_of(copy)) == (rows, schema)
    copy.unlink()
    Store(home).close()
    assert not copy.exists()


def test_a_copy_that_cannot_be_made_stops_the_upgrade(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without room for the copy the old database stays as it was, nothing half-written beside it, and the next start upgrades."""
    home = old_home(tmp_path, "m001_registry")
    schema = schema_of(home / DATABASE_FILE)

    def no_room(place: Path, needed: int) -> None:
        raise ApplianceError("disk_too_small", path=str(place), needed=needed, free=0)

    with monkeypatch.context() as patched:
        patched.setattr(copies, "require_space", no_room)
        with pytest.raises(ApplianceError) as refused:
            Store(home)
    assert refused.value.code == "disk_too_small"
    assert schema_of(home / DATABASE_FILE) == schema
    assert not list(home.glob("*before*"))
    Store(home).close()
    assert schema_of(home / DATABASE_FILE) != schema


def test_a_killed_upgrade_leaves_the_old_or_the_new(tmp_path: Path) -> None:
    """Killed after the copy and in the middle of a migration, the old database is whole, and the next start upgrades it."""
    home = old_home(tmp_path, "m002_runs")
    rows = rows_of(home / DATABASE_FILE)
    code = """if True:
        import os, pathlib, signal, sys
        from appliance.store import migrations
        from appliance.store.store import Store
        def killed(db):
            db.execute("CREATE TABLE half (way INTEGER)")
            db.execute("DELETE FROM runs")
            os.kill(os.getpid(), signal.SIGKILL)
        migrations.migrations._migrations[-1].fn = killed
        Store(pathlib.Path(sys.argv[1]))"""
    ended = subprocess.run([sys.executable, "-c", code, str(home)], check=False, capture_output=True)
    assert ended.returncode == -9, ended.stderr.decode()
    assert rows_of(home / DATABASE_FILE) == rows
    assert rows_of(home / f"{DATABASE_FILE}.before-m003_chats") == rows
    Store(home).close()
    after = rows_of(home / DATABASE_FILE)
    assert {table: after[table] for table in rows} == rows


def older_version(monkeypatch: pytest.MonkeyPatch) -> None:
    """This process becomes the version before the newest migration."""
    known = frozenset(NAMES[:-1])
    monkeypatch.setattr(copies, "registered", lambda: known)
    monkeypatch.setattr(database, "registered", lambda: known)


def test_an_older_version_changes_nothing_in_a_newer_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It refuses by name, and the file is the same to the last byte."""
    home = old_home(tmp_path, NAMES[-1])
    Store(home).close()
    before = hashlib.sha256((home / DATABASE_FILE).read_bytes()).hexdigest()
    older_version(monkeypatch)
    with pytest.raises(ApplianceError) as refused:
        Store(home)
    assert refused.value.code == "store_too_new"
    assert hashlib.sha256((home / DATABASE_FILE).read_bytes()).hexdigest() == before


def test_going_back_keeps_both(tmp_path: Path) -> None:
    """A copy that is put back is the database again, for processes that have it open too; what it replaced is kept whole."""
    home = old_home(tmp_path, NAMES[-2])
    path = home / DATABASE_FILE
    old = rows_of(path)
    store = Store(home)
    store.runs.change("run-1", state="failed")
    kept = put_back(path, home / f"{DATABASE_FILE}.before-{NAMES[-1]}")
    assert rows_of(path) == old
    assert [row[2] for row in rows_of(kept)["runs"]] == ["failed", "interrupted"]
    found = store.runs.find("run-1")
    assert found is not None and found.state == "done"
    store.close()
    assert {one.name for one in home.iterdir()} == {DATABASE_FILE, kept.name, f"{DATABASE_FILE}.before-{NAMES[-1]}"}


def test_a_foreign_database_is_not_put_back(tmp_path: Path) -> None:
    """A file of another program, or garbage, is refused by name and the database stays."""
    home = old_home(tmp_path, NAMES[-1])
    rows = rows_of(home / DATABASE_FILE)
    foreign, garbage = home / f"{DATABASE_FILE}.before-x", home / f"{DATABASE_FILE}.kept-x"
    with closing(plain_sqlite3.connect(foreign)) as made:
        made.execute("CREATE TABLE theirs (x)")
    garbage.write_bytes(b"no database" * 1000)
    for copy, code in ((foreign, "store_foreign"), (garbage, "store_damaged")):
        with pytest.raises(ApplianceError) as refused:
            put_back(home / DATABASE_FILE, copy)
        assert refused.value.code == code
    assert [one.fits for one in copies.copies(home / DATABASE_FILE)] == [False, False]
    assert rows_of(home / DATABASE_FILE) == rows
