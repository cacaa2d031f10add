"""The parts of `scripts/image` that need no engine: folders that are complete or absent, hashes of files, and refusals in one sentence."""

from __future__ import annotations

import io
import os
import re
import runpy
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from scripts.container import building, engine, wheelhouse
from scripts.container.pins import pins_file, require_pinned, write_pins
from scripts.container.shelf import shelf
from scripts.container.telling import HOUSE, Refused
from scripts.container.tree import lines_of


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache."""
    monkeypatch.setenv("GREENWAVE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def archive(*members: tuple[str, int, bytes], time: int = 0) -> io.BytesIO:
    """A tar archive of files: name, rights, contents."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as written:
        for name, mode, content in members:
            info = tarfile.TarInfo(name)
            info.mode, info.size, info.mtime = mode, len(content), time
            written.addfile(info, io.BytesIO(content))
    stream.seek(0)
    return stream


def test_a_shelf_is_filled_once() -> None:
    """What is complete is handed out as it is; nobody fills it again."""
    filled = []

    def fill(folder: Path) -> None:
        filled.append(folder)
        (folder / "file").write_text("content", "utf-8")

    first, second = (shelf("kind", "name", 0, fill) for _ in range(2))
    assert first == second
    assert len(filled) == 1
    assert (first / "file").read_text("utf-8") == "content"


def test_a_failed_filling_leaves_nothing(own_cache: Path) -> None:
    """When filling breaks off, nothing is there that looks complete, nor any remains of it."""

    def fill(folder: Path) -> None:
        (folder / "half").touch()
        raise Refused("No network.", "plug it in.")

    with pytest.raises(Refused):
        shelf("kind", "name", 0, fill)
    assert [path.name for path in (own_cache / "image/kind").iterdir()] == ["name.lock"]


def test_too_little_room_is_said_before_anything_is_done() -> None:
    """A shelf that does not fit is refused with both numbers and the exit code for room."""
    with pytest.raises(Refused, match=r"needs \d+ MB .* MB are free") as caught:
        shelf("kind", "name", 1 << 60, lambda _: pytest.fail("was filled"))
    assert caught.value.exit_code == 4


def test_files_count_and_times_do_not() -> None:
    """A tree's lines are equal at another time, and differ by contents, rights, or one file more."""
    seen = [
        sorted(lines_of(archive(*members, time=time)))
        for time, members in (
            (0, [("a", 0o644, b"1")]),
            (9, [("a", 0o644, b"1")]),
            (0, [("a", 0o644, b"2")]),
            (0, [("a", 0o755, b"1")]),
            (0, [("a", 0o644, b"1"), ("b", 0o644, b"1")]),
        )
    ]
    assert seen[0] == seen[1]
    assert all(lines != seen[0] for lines in seen[2:])


def test_what_the_engine_puts_there_does_not_count() -> None:
    """Files that every container gets from the engine are no part of an image."""
    assert list(lines_of(archive(("etc/hosts", 0o644, b"x"), (".dockerenv", 0o755, b"")))) == []


def test_a_changed_folder_is_refused_by_name(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """One byte that differs from SHA256SUMS stops the build, and the file's name is shown."""
    (tmp_path / "wheels").mkdir()
    wheel = tmp_path / "wheels" / "x-1-py3-none-any.whl"
    wheel.write_bytes(b"good")
    wheelhouse.write_sums(tmp_path)
    building.verify(tmp_path)
    wheel.write_bytes(b"evil")
    with pytest.raises(Refused, match="damaged or was changed"):
        building.verify(tmp_path)
    assert "wheels/x-1-py3-none-any.whl: FAILED" in capfd.readouterr().err


def test_wheels_are_pinned_by_checksum(tmp_path: Path) -> None:
    """Each wheel becomes a line with its version, local part included, and its checksum."""
    for name in ("torch-2.13.0+cpu-cp311-cp311-linux_x86_64.whl", "typing_extensions-4.16.0-py3-none-any.whl"):
        (tmp_path / name).write_bytes(b"")
    wheelhouse.write_requirements(tmp_path / "requirements.txt", tmp_path)
    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert (tmp_path / "requirements.txt").read_text("utf-8").splitlines() == [
        f"torch==2.13.0+cpu --hash=sha256:{empty}",
        f"typing-extensions==4.16.0 --hash=sha256:{empty}",
    ]


def test_another_source_file_gives_another_folder() -> None:
    """What ends up in the image is listed whole: package, UI, texts, build programs, Dockerfile."""
    names = {str(path.relative_to(HOUSE)) for path in wheelhouse.sources()}
    assert names >= {"Dockerfile", "LICENSE", "appliance/entry.py", "tui/app.py", "appliance/demo/records.jsonl", "images/install-wheels"}
    assert not any(name.startswith("tests/") for name in names)


@pytest.mark.parametrize(("programs", "words"), [((), "no docker command"), (("docker",), "No Docker engine answers")])
def test_without_an_engine_it_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, programs: tuple[str, ...], words: str) -> None:
    """Where no engine can be had, that is one sentence and what to install, not a traceback."""
    for name in programs:
        (tmp_path / name).write_text("#!/bin/sh\nexit 1\n", "utf-8")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    looked_for = shutil.which
    monkeypatch.setattr(shutil, "which", lambda name, **_: looked_for(name, path=str(tmp_path)))
    with pytest.raises(Refused, match=words) as caught:
        engine.require_engine()
    assert "apt install docker.io" in caught.value.hint


def test_an_unknown_folder_is_one_sentence(tmp_path: Path) -> None:
    """The command refuses a folder that it did not make with a sentence, a hint and exit code 2, and prints no tag."""
    fake = tmp_path / "docker"
    fake.write_text("#!/bin/sh\nexit 0\n", "utf-8")
    fake.chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    command = [sys.executable, str(HOUSE / "scripts/image"), "build", "--base", "x", "--from", str(tmp_path)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert ended.returncode == 2
    assert ended.stdout == ""
    assert ended.stderr == f"{tmp_path} is no folder of scripts/image wheels.\nHint: name one that it made, whole.\n"


def test_a_wheel_that_is_not_the_known_one_is_refused(tmp_path: Path) -> None:
    """A wheel with another checksum, or of which none is known, is named and stops the gathering; what is built here is not asked for."""
    pins = tmp_path / "wheels-cpu.sha256"
    folder = tmp_path / "wheels"
    folder.mkdir()
    wheel = folder / "x-1-py3-none-any.whl"
    wheel.write_bytes(b"good")
    write_pins(pins, folder)
    (folder / "llama_cpp_python-0.3.36-py3-none-linux_x86_64.whl").write_bytes(b"built here")
    require_pinned(pins, folder)
    wheel.write_bytes(b"evil")
    with pytest.raises(Refused, match=r"^x-1-py3-none-any\.whl was fetched, and is not the file"):
        require_pinned(pins, folder)
    wheel.rename(folder / "y-1-py3-none-any.whl")
    with pytest.raises(Refused, match=r"^y-1-py3-none-any\.whl is not in wheels-cpu\.sha256\.$"):
        require_pinned(pins, folder)


@pytest.mark.parametrize("kind", ["cpu", "cuda"])
def test_the_known_checksums_are_those_of_the_constraints(kind: str) -> None:
    """Every wheel of a list has the version that constraints.txt names, and everything that the appliance needs is in it."""
    listed = {wheelhouse.wheel_requirement(Path(line.split()[1])) for line in pins_file(kind).read_text("utf-8").splitlines()}
    versions = {name: release.partition("+")[0] for name, release in (one.split("==") for one in listed)}
    lines = [line for line in wheelhouse.CONSTRAINTS.read_text("utf-8").splitlines() if "==" in line and not line.startswith("#")]
    constraints = {name.lower(): release for name, release in (line.split("==") for line in lines)}
    assert {name: release for name, release in versions.items() if constraints[name] != release} == {}
    assert {re.split(r"[\[=<>~; ]", name)[0].lower().replace("_", "-") for name in wheelhouse.requirements()} <= set(versions)


def test_the_cuda_compiler_is_that_of_the_constraints() -> None:
    """The file with its checksums names the versions of constraints.txt, and all packages that the build asks for."""
    program = runpy.run_path(str(HOUSE / "scripts/wheelhouse"))
    lines = [line.split(" --hash")[0] for line in program["CUDA_TOOLKIT_PINS"].read_text("utf-8").splitlines() if not line.startswith("#")]
    assert sorted(lines) == sorted(program["pinned"](name) for name in program["CUDA_TOOLKIT"])
