"""Room on a disk that is set aside."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from appliance.files.space import kept_free


def test_room_is_set_aside_for_later(tmp_path: Path) -> None:
    """The bytes are really taken as long as the block lasts, and given back after it, also when it ends with an error."""
    place = tmp_path / "reserve"
    with kept_free(place, 1 << 20):
        assert place.stat().st_blocks * 512 >= 1 << 20
    assert not place.exists()
    with pytest.raises(KeyError), kept_free(place, 1 << 20):
        raise KeyError
    assert not place.exists()


def test_what_cannot_be_set_aside_is_done_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a disk that is full already the work begins all the same, and nothing lies about."""

    def full(_descriptor: int, _start: int, _size: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with kept_free(tmp_path / "reserve", 1 << 20):
        assert list(tmp_path.iterdir()) == []
