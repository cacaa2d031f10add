"""Copies that were cut off are gone on with: what is there is verified, not trusted."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from appliance.domain.errors import ApplianceError
from appliance.files import copying
from appliance.files.checksum import file_sha256
from appliance.files.copying import copy_resumable, kept_bytes, medium_watched

PIECE = 1000


@pytest.fixture(autouse=True)
def _small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copying, "PIECE_BYTES", PIECE)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Nine pieces and a half."""
    path = tmp_path / "medium"
    path.write_bytes(random.Random(1).randbytes(9 * PIECE + PIECE // 2))
    return path


class Cut(Exception):
    """Stands for whatever ends a process."""


@contextmanager
def cut_after(pieces: int, source: Path, target: Path, journal: Path) -> Iterator[None]:
    """A copy that ends after so many pieces."""
    seen = 0

    def tell(_count: int) -> None:
        nonlocal seen
        seen += 1
        if seen == pieces:
            raise Cut

    with pytest.raises(Cut):
        copy_resumable(source, target, journal, tell)
    yield


@pytest.mark.parametrize("pieces", range(1, 11))
def test_goes_on_where_it_was(pieces: int, source: Path, tmp_path: Path) -> None:
    """Cut off after any piece, the next try reads only the rest, a few samples aside, and the copy is the source."""
    target, journal = tmp_path / "copy", tmp_path / "journal"
    with cut_after(pieces, source, target, journal):
        told: list[int] = []
        copied = copy_resumable(source, target, journal, told.append)
    assert target.read_bytes() == source.read_bytes()
    assert (copied.sha256, copied.size) == (file_sha256(source), source.stat().st_size)
    assert copied.kept == min(pieces * PIECE, source.stat().st_size)
    assert sum(told) == source.stat().st_size
    assert kept_bytes(target, journal) == source.stat().st_size


@pytest.mark.parametrize("place", [0, 1500, 3999])
def test_a_damaged_copy_is_kept_up_to_the_damage(place: int, source: Path, tmp_path: Path) -> None:
    """A power cut can leave zeros where data should be: what comes before stays, the rest is copied anew."""
    target, journal = tmp_path / "copy", tmp_path / "journal"
    with cut_after(4, source, target, journal):
        damaged = bytearray(target.read_bytes())
        damaged[place] ^= 1
        target.write_bytes(damaged)
        copied = copy_resumable(source, target, journal)
    assert target.read_bytes() == source.read_bytes()
    assert copied.kept == place // PIECE * PIECE


@pytest.mark.parametrize("cut", [0, 10, 60, 150, 163])
def test_a_torn_journal_costs_no_more_than_its_loss(cut: int, source: Path, tmp_path: Path) -> None:
    """Wherever the journal ends, also in the middle of a line, the copy is right."""
    target, journal = tmp_path / "copy", tmp_path / "journal"
    with cut_after(4, source, target, journal):
        os.truncate(journal, cut)
        copied = copy_resumable(source, target, journal)
    assert target.read_bytes() == source.read_bytes()
    assert copied.kept < 4 * PIECE


def test_another_source_of_the_same_size_is_copied_from_the_beginning(source: Path, tmp_path: Path) -> None:
    """Size and time of change are not enough: some of the pieces are compared with the source."""
    target, journal = tmp_path / "copy", tmp_path / "journal"
    with cut_after(6, source, target, journal):
        state, raw = source.stat(), bytearray(source.read_bytes())
        raw[0] ^= 1
        source.write_bytes(raw)
        os.utime(source, ns=(state.st_atime_ns, state.st_mtime_ns))
        copied = copy_resumable(source, target, journal)
    assert (copied.kept, target.read_bytes()) == (0, source.read_bytes())


def test_a_source_that_was_written_to_is_copied_from_the_beginning(source: Path, tmp_path: Path) -> None:
    """Another time of change is another file."""
    target, journal = tmp_path / "copy", tmp_path / "journal"
    with cut_after(6, source, target, journal):
        os.utime(source, ns=(1, 1))
        assert copy_resumable(source, target, journal).kept == 0


def test_a_source_that_changes_meanwhile_is_told(source: Path, tmp_path: Path) -> None:
    """Nobody gets half of one file and half of another."""
    with pytest.raises(ApplianceError) as caught:
        copy_resumable(source, tmp_path / "copy", tmp_path / "journal", lambda _count: os.utime(source, ns=(1, 1)))
    assert caught.value.code == "source_changed"


def test_a_source_that_ends_early_is_a_lost_medium(source: Path, tmp_path: Path) -> None:
    """A file that becomes shorter while it is read is named; what was copied is kept for the next try."""
    target, journal, whole = tmp_path / "copy", tmp_path / "journal", source.read_bytes()

    def tell(_count: int) -> None:
        os.truncate(source, 4 * PIECE)

    with pytest.raises(ApplianceError) as caught:
        copy_resumable(source, target, journal, tell)
    assert (caught.value.code, caught.value.parameters["path"]) == ("medium_lost", str(source))
    assert target.read_bytes() == whole[: 4 * PIECE]


def test_a_folder_that_vanishes_is_a_lost_medium(tmp_path: Path) -> None:
    """A refusal that only says that files are missing becomes the cause when the medium itself is gone; a sound refusal stays."""
    folder = tmp_path / "medium"
    folder.mkdir()

    def pull_and_refuse() -> None:
        folder.rmdir()
        raise ApplianceError("base_refused")

    with pytest.raises(ApplianceError) as caught, medium_watched(folder):
        raise ApplianceError("base_refused")
    assert caught.value.code == "base_refused"
    with pytest.raises(ApplianceError) as caught, medium_watched(folder):
        pull_and_refuse()
    assert caught.value.code == "medium_lost"
    with pytest.raises(ApplianceError) as caught, medium_watched(folder):  # it was never there
        raise ApplianceError("model_source_missing")
    assert caught.value.code == "model_source_missing"
