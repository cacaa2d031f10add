"""The store: schema, versions, two processes at once, and nothing half-written."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest
from pysqlite3 import dbapi2 as sqlite3

from appliance.domain.dataset import Dataset
from appliance.domain.errors import ApplianceError
from appliance.domain.event import Finished, Metric, Progress
from appliance.domain.model import Model, Parent, Score
from appliance.domain.run import PlannedStage, Run
from appliance.store import database
from appliance.store.store import DATABASE_FILE, Store


def dataset(name: str) -> Dataset:
    """A dataset with every kind of column filled."""
    return Dataset(id=f"id-{name}", name=name, path="/x", sha256="0", size=3, counts={"rows": 1}, facts={"字": [1, None]}, created=1.5)


def test_what_goes_in_comes_out(tmp_path: Path) -> None:
    """Every noun survives the way through SQLite unchanged, seen from a second connection."""
    one, other = Store(tmp_path), Store(tmp_path)
    model = Model(id="m", name="模型", kind="gguf", path="/y", sha256="1", size=9, facts={"a": 1.5}, created=2.0)
    one.datasets.add(dataset("rows"))
    one.models.add(model)
    one.lineage.add(Parent(child="m", parent="id-rows", role="dataset"))
    one.scores.add(Score(model_id="m", name="exam_accuracy", value=0.5, created=1.0))
    one.scores.add(Score(model_id="m", name="exam_accuracy", value=0.9, created=2.0))
    assert other.datasets.find("rows") == dataset("rows")
    assert other.models.find("模型") == model
    assert [edge.parent for edge in other.lineage.parents_of("m")] == ["id-rows"]
    assert [score.value for score in other.scores.newest("m")] == [0.9]


def test_runs_are_found_by_id_beginning_and_name(tmp_path: Path) -> None:
    """An exact id wins, then the newest run whose id begins so or whose name it is."""
    store = Store(tmp_path)
    for number in (1, 2):
        run = Run(id=f"run-abc{number}", name="nightly", state="queued", created=float(number))
        store.runs.add(run, [PlannedStage(stage="clean", spec={"n": number})])
    found = [store.runs.find(key) for key in ("run-abc1", "run-a", "nightly")]
    assert [run.id for run in found if run] == ["run-abc1", "run-abc2", "run-abc2"]
    assert store.runs.find("other") is None
    assert store.runs.plan("run-abc2")[0].spec == {"n": 2}


def test_a_state_is_only_replaced_when_it_is_the_expected_one(tmp_path: Path) -> None:
    """Two who want to change one state cannot both succeed."""
    store = Store(tmp_path)
    store.runs.add(Run(id="r", name="n", state="running", created=1.0), [])
    assert store.runs.replace_state("r", ("queued", "running"), "interrupted", ended=2.0)
    assert not store.runs.replace_state("r", ("queued", "running"), "done")
    run = store.runs.find("r")
    assert run is not None
    assert (run.state, run.ended) == ("interrupted", 2.0)


def test_readers_get_only_what_is_new(tmp_path: Path) -> None:
    """Events come in order and a reader continues after the last one it saw."""
    writer, reader = Store(tmp_path), Store(tmp_path)
    writer.runs.add(Run(id="r", name="n", state="running", created=1.0), [])
    writer.events.append("r", 0, [(1.0, Progress(1)), (2.0, Metric("loss", 1, 0.5))])
    seen = list(reader.events.after("r"))
    writer.events.append("r", 1, [(3.0, Finished())])
    assert [one.event for one in reader.events.after("r", seen[-1].id)] == [Finished()]


def test_a_transaction_is_all_or_nothing(tmp_path: Path) -> None:
    """An error in the middle takes back what was written before it."""
    store = Store(tmp_path)
    store.datasets.add(dataset("other"))

    def add_both() -> None:
        with store.transaction():
            store.datasets.add(dataset("rows"))
            store.datasets.add(dataset("other"))

    with pytest.raises(sqlite3.IntegrityError):
        add_both()
    assert store.datasets.find("rows") is None


def test_many_processes_may_open_a_new_home_at_once(tmp_path: Path) -> None:
    """Six first starts at the same time migrate once, and none fails."""
    code = "import sys, pathlib; from appliance.store.store import Store; Store(pathlib.Path(sys.argv[1]))"
    starts = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stderr=subprocess.PIPE) for _ in range(6)]
    for start in starts:
        _, errors = start.communicate(timeout=60)
        assert start.returncode == 0, errors.decode()
    assert Store(tmp_path).datasets.find("x") is None


def test_commits_wait_for_the_disk(tmp_path: Path) -> None:
    """Write-ahead logging with full synchronisation: a row that was announced survives a power cut."""
    db = database.open_database(tmp_path / DATABASE_FILE)
    assert db.journal_mode == "wal"
    assert next(iter(db.execute("PRAGMA synchronous")))[0] == 2


def test_an_unsafe_sqlite_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A library older than the fix for silent corruption does not get to open the file; the one in use is new enough."""
    assert sqlite3.sqlite_version_info >= (3, 51, 3)
    monkeypatch.setattr(database, "MINIMUM_SQLITE", (9, 0, 0))
    with pytest.raises(ApplianceError) as refused:
        Store(tmp_path)
    assert refused.value.code == "sqlite_too_old"


def test_a_newer_schema_is_refused_and_kept(tmp_path: Path) -> None:
    """A database with migrations that this version does not know is left alone."""
    Store(tmp_path).close()
    with sqlite3.connect(str(tmp_path / DATABASE_FILE)) as connection:
        row = ("greenwave", "m999_future", str(time.time()))
        connection.execute("INSERT INTO _sqlite_migrations (migration_set, name, applied_at) VALUES (?, ?, ?)", row)
    connection.close()
    with pytest.raises(ApplianceError) as refused:
        Store(tmp_path)
    assert refused.value.code == "store_too_new"
    assert "m999_future" in str(refused.value)


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    """Garbage in the database's place is an error by name, and the garbage stays for whoever wants to save it."""
    (tmp_path / DATABASE_FILE).write_bytes(b"not a database at all, but long enough to be looked at" * 100)
    with pytest.raises(ApplianceError) as refused:
        Store(tmp_path)
    assert refused.value.code == "store_damaged"
    assert (tmp_path / DATABASE_FILE).read_bytes().startswith(b"not a database")


def test_a_transaction_that_reads_first_is_not_refused_when_another_writes(tmp_path: Path) -> None:
    """Between a transaction's look at a name and its row nobody else gets in, and the row is written."""
    one, other = Store(tmp_path), Store(tmp_path)
    other._db.execute("PRAGMA busy_timeout = 0")
    with one.transaction():
        assert one.datasets.find("rows") is None
        with pytest.raises(sqlite3.OperationalError):
            other.datasets.add(dataset("rows"))
        one.datasets.add(dataset("rows"))
    assert other.datasets.find("rows") == dataset("rows")


def test_a_home_that_was_moved_still_finds_its_files(tmp_path: Path) -> None:
    """Paths below the home follow it to another place; paths outside stay."""
    inside = msgspec.structs.replace(dataset("inside"), path=str(tmp_path / "old" / "datasets" / "x"))
    store = Store(tmp_path / "old")
    store.datasets.add(inside)
    store.datasets.add(dataset("outside"))
    store.close()
    (tmp_path / "old").rename(tmp_path / "new")
    moved = Store(tmp_path / "new")
    assert [one.path for one in moved.datasets.all()] == [str(tmp_path / "new" / "datasets" / "x"), "/x"]


def test_an_empty_key_is_no_run(tmp_path: Path) -> None:
    """A script's empty variable must not name the newest run, which it may be about to cancel."""
    store = Store(tmp_path)
    store.runs.add(Run(id="r", name="n", state="running", created=1.0), [])
    assert store.runs.find("") is None


def test_a_curve_is_found_among_everything_else(tmp_path: Path) -> None:
    """Of all that a run said, the values of one name in their order; another run's and other names' are not among them."""
    store = Store(tmp_path)
    for run in ("r", "other"):
        store.runs.add(Run(id=run, name=run, state="done", created=1.0), [PlannedStage(stage="train", spec={})])
        moments = [(1.0, Metric(name, step, step / 2)) for step in range(1, 4) for name in ("loss", "los_", 'a"b')]
        store.events.append(run, 0, [*moments, (2.0, Progress(1)), (3.0, Finished())])
    halves = [(1, 0.5), (2, 1.0), (3, 1.5)]
    found, newest = store.events.metrics("r")
    assert found == {"loss": halves, "los_": halves, 'a"b': halves}
    assert list(found) == ["loss", "los_", 'a"b']
    assert store.events.metrics("r", newest) == ({}, newest)
    assert store.events.metrics("nobody") == ({}, 0)
