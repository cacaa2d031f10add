"""The llama.cpp wheel is built once per recipe, shown while it is built, and never half there."""

from __future__ import annotations

import hashlib
import os
import runpy
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "wheelhouse"
WHEEL = "llama_cpp_python-0.3.36-py3-none-linux_x86_64.whl"
METADATA = "Metadata-Version: 2.1\nName: small-thing\nVersion: 1.0\n"
BACKEND = f"""
from pathlib import Path

def prepare_metadata_for_build_wheel(folder, config_settings=None):
    place = Path(folder, "small_thing-1.0.dist-info")
    place.mkdir()
    (place / "METADATA").write_text({METADATA!r})
    return place.name
"""
"""A build backend that needs nothing of a package index: pip asks it for the name before it hands an sdist out."""


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The script's names, with an empty cache."""
    monkeypatch.setenv("GREENWAVE_CACHE", str(tmp_path / "cache"))
    return runpy.run_path(str(SCRIPT))


def shelf(script: dict[str, Any]) -> Path:
    """Where the script keeps the wheel of today's recipe."""
    requirement = f"{script['pinned']('llama-cpp-python')} --hash=sha256:{script['SDIST_SHA256']}"
    place: Path = script["shelf_for"](script["recipe"](requirement))
    return place


def building(code: str) -> list[str]:
    """A stand-in for pip: a Python program."""
    return [sys.executable, "-c", code]


def test_a_built_wheel_is_handed_out(script: dict[str, Any]) -> None:
    """What lies on the recipe's shelf is printed, and nothing is built."""
    place = shelf(script)
    place.mkdir(parents=True)
    (place / WHEEL).touch()
    printed = subprocess.run([sys.executable, SCRIPT], capture_output=True, text=True, check=True)
    assert printed.stdout == f"{place / WHEEL}\n"
    assert printed.stderr == ""


def test_another_recipe_has_another_shelf(script: dict[str, Any]) -> None:
    """A change of the version, of an option or of the machine leads to another wheel."""
    ingredients = script["recipe"]("llama-cpp-python==0.3.36")
    changes: tuple[dict[str, object], ...] = (
        {"requirement": "llama-cpp-python==0.4"},
        {"cmake": ("-DGGML_NATIVE=ON",)},
        {"machine": "aarch64"},
    )
    shelves = {script["shelf_for"]({**ingredients, **change}) for change in ({}, *changes)}
    assert len(shelves) == 4


def test_the_cache_can_be_anywhere(script: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """GREENWAVE_CACHE rules, then XDG_CACHE_HOME, then the home."""
    assert shelf(script).is_relative_to(tmp_path / "cache" / "wheelhouse")
    monkeypatch.delenv("GREENWAVE_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert shelf(script).is_relative_to(tmp_path / "xdg" / "greenwave" / "wheelhouse")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert shelf(script).is_relative_to(tmp_path / "home" / ".cache" / "greenwave" / "wheelhouse")


def test_progress_is_told_in_tenths(script: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where nobody watches a terminal, ninja's counter becomes a line per tenth; the log keeps everything."""
    log = tmp_path / "log"
    steps = "for n in range(1, 41): print(f'  [{n}/40] g++ -c x.cpp')"
    assert script["follow"](building(steps), {}, log) == 0
    told = capsys.readouterr().err.splitlines()
    assert told == [f"  llama.cpp: {tenth * 10} %" for tenth in range(11)]
    assert len(log.read_text("utf-8").splitlines()) == 40


def test_a_failed_build_leaves_nothing(script: dict[str, Any]) -> None:
    """When pip gives up, its last words and the log's place are shown, and no shelf is there to be trusted."""
    place = shelf(script)
    without_index = {**os.environ, "PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": os.devnull, "PIP_FIND_LINKS": ""}
    ended = subprocess.run([sys.executable, SCRIPT], capture_output=True, text=True, check=False, env=without_index)
    assert ended.returncode != 0
    assert ended.stdout == ""
    assert "No matching distribution found for llama-cpp-python==0.3.36" in ended.stderr
    assert f"Hint: the reason is in the lines above; the whole log is {place}.log." in ended.stderr
    assert not place.exists()


def test_the_source_is_fetched_once_and_keeps_its_place(script: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A build that was broken off finds its source where it was: what was compiled from it counts only there."""
    folder = tmp_path / "packages/small_thing-1.0"
    folder.mkdir(parents=True)
    (folder / "PKG-INFO").write_text(METADATA, "utf-8")
    (folder / "pyproject.toml").write_text('[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n', "utf-8")
    (folder / "backend.py").write_text(BACKEND, "utf-8")
    sdist = Path(shutil.make_archive(str(folder), "gztar", folder.parent, folder.name))
    digest = hashlib.sha256(sdist.read_bytes()).hexdigest()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(sdist.parent))
    source, log = tmp_path / "source", tmp_path / "log"

    wrong = f"small-thing==1.0 --hash=sha256:{'0' * 64}"
    assert script["fetch_source"](wrong, source, log) != 0
    assert "DO NOT MATCH THE HASHES" in log.read_text("utf-8")
    assert not source.exists()

    requirement = f"small-thing==1.0 --hash=sha256:{digest}"
    assert script["fetch_source"](requirement, source, log) == 0, log.read_text("utf-8")
    before = (source / "pyproject.toml").stat()
    sdist.unlink()
    assert script["fetch_source"](requirement, source, log) == 0
    assert (source / "pyproject.toml").stat().st_mtime_ns == before.st_mtime_ns
    assert not Path(f"{source}.partial").exists()
