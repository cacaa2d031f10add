"""The self-test as a command: its sheet, its file, and its exit code when something fails. That it passes is shown in tests/silence."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from appliance import demo
from tests.cli.conftest import Greenwave


@pytest.mark.slow
def test_a_journey_that_fails_is_a_failed_sheet(greenwave: Greenwave, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a damaged base the sheet is printed and written all the same, says what is wrong, and the command ends with 1."""
    damaged = shutil.copytree(demo.base_folder(), tmp_path / "base")
    (damaged / "model.safetensors").write_bytes(b"\xff" * 64)
    monkeypatch.setattr(demo, "base_folder", lambda: damaged)
    ended = greenwave("selftest", "--output", tmp_path / "sheet.txt")
    assert ended.status == 1
    assert "✘ Life of a model: ended early" in ended.out
    assert "did not pass the screening" in ended.out
    assert "FAILED" in ended.out
    assert "The self-test failed: Life of a model." in ended.err
    assert (tmp_path / "sheet.txt").read_text("utf-8") == ended.out


def test_no_place_to_work_is_told(greenwave: Greenwave, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A home that cannot be made is one sentence, and no sheet."""
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("GREENWAVE_HOME", str(tmp_path / "file" / "home"))
    ended = greenwave("selftest", "--json")
    assert (ended.status, ended.error["code"], ended.out) == (3, "selftest_no_place", "")
