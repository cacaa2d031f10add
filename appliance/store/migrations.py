"""The schema, as migrations that are only ever appended: a released one is never changed."""

from __future__ import annotations

from sqlite_utils import Database, Migrations

migrations = Migrations("greenwave")


def registered() -> frozenset[str]:
    """Names of the migrations that this version knows."""
    return frozenset(migration.name for migration in migrations.pending(Database(memory=True)))


@migrations()
def m001_registry(db: Database) -> None:
    """Datasets, models, what was made from what, and how good models are."""
    db.execute(
        """CREATE TABLE datasets (
             id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, kind TEXT NOT NULL, path TEXT NOT NULL, sha256 TEXT NOT NULL,
             size INTEGER NOT NULL, counts TEXT NOT NULL, facts TEXT NOT NULL, run_id TEXT, created REAL NOT NULL) STRICT"""
    )
    db.execute(
        """CREATE TABLE models (
             id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, kind TEXT NOT NULL, path TEXT NOT NULL, sha256 TEXT NOT NULL,
             size INTEGER NOT NULL, facts TEXT NOT NULL, run_id TEXT, created REAL NOT NULL) STRICT"""
    )
    db.execute(
        """CREATE TABLE parents (
             child TEXT NOT NULL, parent TEXT NOT NULL, role TEXT NOT NULL, PRIMARY KEY (child, parent, role)) STRICT, WITHOUT ROWID"""
    )
    db.execute("CREATE INDEX parents_by_parent ON parents (parent)")
    db.execute(
        """CREATE TABLE scores (
             model_id TEXT NOT NULL, name TEXT NOT NULL, value REAL NOT NULL, facts TEXT NOT NULL, run_id TEXT,
             created REAL NOT NULL) STRICT"""
    )
    db.execute("CREATE INDEX scores_by_model ON scores (model_id, name, created)")


@migrations()
def m002_runs(db: Database) -> None:
    """Runs, their stages, and everything the stages said."""
    db.execute(
        """CREATE TABLE runs (
             id TEXT PRIMARY KEY, name TEXT NOT NULL, state TEXT NOT NULL, created REAL NOT NULL, started REAL, ended REAL,
             wish TEXT NOT NULL DEFAULT '', recipe TEXT NOT NULL, failure TEXT NOT NULL, pid INTEGER) STRICT"""
    )
    db.execute("CREATE INDEX runs_by_state ON runs (state)")
    db.execute(
        """CREATE TABLE stages (
             run_id TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE, position INTEGER NOT NULL, stage TEXT NOT NULL,
             title TEXT NOT NULL, plan TEXT NOT NULL, state TEXT NOT NULL, started REAL, ended REAL,
             peak_memory INTEGER NOT NULL DEFAULT 0, facts TEXT NOT NULL, PRIMARY KEY (run_id, position)) STRICT, WITHOUT ROWID"""
    )
    db.execute(
        """CREATE TABLE events (
             id INTEGER PRIMARY KEY, run_id TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE, position INTEGER NOT NULL,
             at REAL NOT NULL, body TEXT NOT NULL) STRICT"""
    )
    db.execute("CREATE INDEX events_by_run ON events (run_id, id)")


@migrations()
def m003_chats(db: Database) -> None:
    """What was asked and answered in the terminal UI."""
    db.execute(
        """CREATE TABLE chats (
             id TEXT PRIMARY KEY, title TEXT NOT NULL, system TEXT NOT NULL, sampling TEXT NOT NULL, created REAL NOT NULL,
             changed REAL NOT NULL) STRICT"""
    )
    db.execute("CREATE INDEX chats_by_change ON chats (changed)")
    db.execute(
        """CREATE TABLE chat_turns (
             chat_id TEXT NOT NULL REFERENCES chats (id) ON DELETE CASCADE, position INTEGER NOT NULL, question TEXT NOT NULL,
             answers TEXT NOT NULL, PRIMARY KEY (chat_id, position)) STRICT, WITHOUT ROWID"""
    )
