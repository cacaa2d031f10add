"""Checkpoints: whole or not there, believed only when every byte is as it was written."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from appliance.domain.errors import ApplianceError
from appliance.domain.event import Event, Notice
from appliance.stages.train.checkpoints import MANIFEST_FILE, CheckpointStore


def fill(folder: Path) -> None:
    """Two files, as a trainer would write them."""
    (folder / "weights").write_bytes(b"w" * 1000)
    (folder / "history").write_bytes(b"h" * 10)


@pytest.fixture
def store(tmp_path: Path) -> CheckpointStore:
    """A store with checkpoints of steps 10, 20 and 30, of which two are kept."""
    made = CheckpointStore(tmp_path / "checkpoints", keep=2, identity="this run")
    for step in (10, 20, 30):
        made.save(step, fill)
    return made


def newest(store: CheckpointStore) -> tuple[str | None, list[Event]]:
    """Name of the newest believed checkpoint, and what was said about others."""
    events: list[Event] = []
    found = store.newest(events.append)
    return found.name if found else None, events


def test_newest_are_kept(store: CheckpointStore, tmp_path: Path) -> None:
    """Only as many checkpoints stay as the recipe says, and the newest is found."""
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == ["step-00000020", "step-00000030"]
    assert newest(store) == ("step-00000030", [])


def left(folder: Path) -> list[str]:
    """What lies in the store's folder."""
    return sorted(path.name for path in folder.iterdir())


def test_best_weights_stay_for_the_checkpoint_that_names_them(tmp_path: Path) -> None:
    """Better weights of a checkpoint's own step, which came after it, do not take away the ones it would go back to; the next does."""
    store = CheckpointStore(tmp_path, keep=1, identity="this run")
    store.save_best(9, fill)
    store.save(12, fill)
    store.save_best(12, fill)
    assert left(tmp_path) == ["best-00000009", "best-00000012", "step-00000012"]
    store.save_best(15, fill)
    assert left(tmp_path) == ["best-00000009", "best-00000015", "step-00000012"]
    store.save(16, fill)
    assert left(tmp_path) == ["best-00000015", "step-00000016"]


def test_best_weights_stay_for_a_checkpoint_that_names_none(tmp_path: Path) -> None:
    """Of a checkpoint from before manifests named them, the newest best weights up to its step stay."""
    store = CheckpointStore(tmp_path, keep=2, identity="this run")
    store.save_best(9, fill)
    store.save(12, fill)
    manifest = tmp_path / "step-00000012" / MANIFEST_FILE
    written = msgspec.json.decode(manifest.read_bytes())
    manifest.write_bytes(msgspec.json.encode({name: written[name] for name in ("identity", "files")}))
    assert store.newest(lambda _event: None) == manifest.parent
    store.save_best(15, fill)
    store.save(16, fill)
    assert left(tmp_path) == ["best-00000009", "best-00000015", "step-00000012", "step-00000016"]


def test_no_checkpoint_yet(tmp_path: Path) -> None:
    """A run without a folder starts from the beginning."""
    assert newest(CheckpointStore(tmp_path / "none", 2, "x")) == (None, [])


@pytest.mark.parametrize("harm", ["flip", "shorten", "remove", "add", "manifest", "no manifest", "no text", "empty manifest"])
def test_broken_checkpoint_is_passed_over(store: CheckpointStore, tmp_path: Path, harm: str) -> None:
    """Whatever is wrong with the newest checkpoint, the one before is taken and a person is told."""
    place = tmp_path / "checkpoints" / "step-00000030"
    match harm:
        case "flip":
            (place / "weights").write_bytes(b"w" * 999 + b"x")
        case "shorten":
            (place / "weights").write_bytes(b"w" * 500)
        case "remove":
            (place / "history").unlink()
        case "add":
            (place / "more").write_bytes(b"")
        case "manifest":
            (place / MANIFEST_FILE).write_bytes((place / MANIFEST_FILE).read_bytes()[:-20])
        case "no text":
            (place / MANIFEST_FILE).write_bytes((place / MANIFEST_FILE).read_bytes().replace(b"files", b"f\xe6les", 1))
        case "no manifest":
            (place / MANIFEST_FILE).unlink()
        case _:
            (place / MANIFEST_FILE).write_bytes(b"")
    assert newest(store) == ("step-00000020", [Notice("warning", "checkpoint_broken", {"name": "step-00000030"})])


def test_broken_checkpoint_is_written_anew(store: CheckpointStore, tmp_path: Path) -> None:
    """A run that reaches the step of a broken checkpoint again replaces it."""
    (tmp_path / "checkpoints" / "step-00000030" / "weights").write_bytes(b"")
    store.save(30, fill)
    assert newest(store) == ("step-00000030", [])


def test_unfinished_checkpoint_is_not_seen(store: CheckpointStore, tmp_path: Path) -> None:
    """What a killed process left behind under its temporary name is no checkpoint, and does not hinder the next one."""
    left = tmp_path / "checkpoints" / "step-00000040.partial"
    left.mkdir()
    (left / "weights").write_bytes(b"half")
    assert newest(store) == ("step-00000030", [])
    store.save(40, fill)
    assert newest(store) == ("step-00000040", [])


def test_failure_while_saving_leaves_nothing(store: CheckpointStore, tmp_path: Path) -> None:
    """An error while a checkpoint is filled leaves the earlier ones and no trace of the new."""

    def half(folder: Path) -> None:
        (folder / "weights").write_bytes(b"half")
        raise OSError(28, "No space left on device")

    with pytest.raises(ApplianceError, match="disk_full"):
        store.save(40, half)
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == ["step-00000020", "step-00000030"]


def test_checkpoint_of_another_run_is_refused(store: CheckpointStore, tmp_path: Path) -> None:
    """A whole checkpoint of another base, dataset or recipe is neither used nor overwritten."""
    assert newest(store)[0]
    with pytest.raises(ApplianceError, match="checkpoint_of_other_training"):
        newest(CheckpointStore(tmp_path / "checkpoints", 2, "another run"))
