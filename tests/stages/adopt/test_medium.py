"""A medium pulled out, a process killed, a checksum that differs: nothing half-copied is there, and the next try goes on."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from appliance.domain.errors import ApplianceError
from appliance.domain.event import Event, Failed, Notice, Produced, Progress, Started, from_line
from appliance.domain.spec import AdoptSpec
from appliance.files import copying
from appliance.files.checksum import file_sha256, folder_manifest
from appliance.files.copying import PIECE_BYTES
from appliance.processes.locks import try_lock
from appliance.stages.adopt import run, unfinished
from tests.files.gguf_bytes import header, tensor
from tests.stages.export.tiny_base import make_base

HOUSE = Path(__file__).parents[3]
PIECES = 12


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base that may come in."""
    return make_base(tmp_path_factory.mktemp("sound") / "base", tie_word_embeddings=True)


@pytest.fixture
def medium(sound: Path, tmp_path: Path) -> Path:
    """A medium with a base on it."""
    return Path(shutil.copytree(sound, tmp_path / "medium" / "base"))


@pytest.fixture
def _small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copying, "PIECE_BYTES", 4096)


def adopt(source: Path, place: Path, tell: Any = None) -> list[Event]:
    """What the stage said; ``tell`` hears every event as it comes."""
    events: list[Event] = []

    def emit(event: Event) -> None:
        events.append(event)
        if tell is not None:
            tell(event)

    run(AdoptSpec(source=str(source), output=str(place), copies=str(place.parent / ".copies")), emit)
    return events


def notices(events: list[Event]) -> dict[str, dict[str, Any]]:
    """Parameters of the notices by their codes."""
    return {event.code: event.parameters for event in events if isinstance(event, Notice)}


@pytest.mark.usefixtures("_small_pieces")
def test_a_medium_pulled_out_is_named_and_the_next_try_goes_on(medium: Path, tmp_path: Path) -> None:
    """The files vanish in the middle: an error with how far it came, no model; with the medium back, only the rest is copied."""
    place, aside = tmp_path / "models" / "new", tmp_path / "aside"

    def pull(event: Event) -> None:
        if isinstance(event, Progress) and event.done > 40_000 and not aside.exists():
            medium.parent.rename(aside)  # an open file can be read on, as in a cache; the next one is not there any more

    with pytest.raises(ApplianceError) as caught:
        adopt(medium, place, pull)
    assert caught.value.code == "medium_lost_while_copying"
    kept, total = (caught.value.parameters[name] for name in ("kept", "total"))
    assert 0 < kept < total
    assert [path.name for path in place.parent.iterdir()] == [".copies"]
    aside.rename(medium.parent)
    events = adopt(medium, place)
    assert notices(events)["copy_continued"] == {"kept": kept, "total": total}
    (started,) = [event for event in events if isinstance(event, Started)]
    assert (started.done, started.total) == (kept, total)
    assert min(event.done for event in events if isinstance(event, Progress)) > kept
    assert folder_manifest(place) == folder_manifest(medium)
    assert [path.name for path in place.parent.iterdir()] == ["new"]


def test_a_medium_that_is_gone_before_the_copy_is_named(medium: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pulled out during the screening, the medium is the news, not the files that cannot be found any more."""
    screen = sys.modules["appliance.stages.adopt"].screen_base

    def pulled_out(folder: Path) -> Any:
        medium.parent.rename(tmp_path / "aside")
        return screen(folder)

    monkeypatch.setattr("appliance.stages.adopt.screen_base", pulled_out)
    with pytest.raises(ApplianceError) as caught:
        adopt(medium, tmp_path / "models" / "new")
    assert caught.value.code == "medium_lost"
    assert not (tmp_path / "models").exists()


def test_a_medium_that_goes_while_its_files_are_listed_is_named(medium: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pulled out after the screening and before the first byte is copied: the same sentence, not an error of the system."""
    stage = sys.modules["appliance.stages.adopt"]
    listed = stage._files_to_copy

    def pulled_out(*arguments: Any) -> Any:
        found = listed(*arguments)
        medium.parent.rename(tmp_path / "aside")
        return found

    monkeypatch.setattr(stage, "_files_to_copy", pulled_out)
    with pytest.raises(ApplianceError) as caught:
        adopt(medium, tmp_path / "models" / "new")
    assert caught.value.code == "medium_lost"
    assert not (tmp_path / "models").exists()


def write_list(folder: Path) -> Path:
    """A list of the checksums of all files of a folder."""
    place = folder / "SHA256SUMS"
    place.write_text("".join(f"{digest}  {name}\n" for name, digest in folder_manifest(folder).items()), "utf-8")
    return place


def test_checksums_of_the_medium_are_compared(medium: Path, tmp_path: Path) -> None:
    """With a list on the medium every file is compared; the list itself is not part of the model."""
    manifest = folder_manifest(medium)
    write_list(medium)
    told = notices(adopt(medium, tmp_path / "models" / "new"))
    assert told == {"checksums_found": {"count": len(manifest), "files": len(manifest)}}
    assert folder_manifest(tmp_path / "models" / "new") == manifest


def test_a_file_that_is_not_what_its_list_says_is_refused_by_name(medium: Path, tmp_path: Path) -> None:
    """One changed byte: the file, what was expected and what was found; the copies of the others are kept for the next try."""
    write_list(medium)
    weights = medium / "model.safetensors"
    raw = bytearray(weights.read_bytes())
    raw[-1] ^= 1
    weights.write_bytes(raw)
    with pytest.raises(ApplianceError) as caught:
        adopt(medium, tmp_path / "models" / "new")
    assert caught.value.code == "checksum_differs"
    assert caught.value.parameters["path"] == str(weights)
    assert caught.value.parameters["found"] == hashlib.sha256(raw).hexdigest()
    assert not (tmp_path / "models" / "new").exists()
    raw[-1] ^= 1
    weights.write_bytes(raw)
    assert "copy_continued" in notices(adopt(medium, tmp_path / "models" / "new"))


def test_files_that_the_list_names_must_be_there(medium: Path, tmp_path: Path) -> None:
    """A file that was forgotten when the medium was written is named before anything is copied."""
    write_list(medium)
    (medium / "generation_config.json").unlink()
    with pytest.raises(ApplianceError) as caught:
        adopt(medium, tmp_path / "models" / "new")
    assert (caught.value.code, caught.value.parameters["names"]) == ("listed_files_missing", "generation_config.json")
    assert not (tmp_path / "models").exists()


@pytest.mark.usefixtures("_small_pieces")
def test_a_copy_that_was_continued_wrongly_is_made_once_more(medium: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the samples miss a difference the list on the medium does not: the file is copied from the beginning."""
    monkeypatch.setattr(copying, "SAMPLES", 2)
    place, weights, aside = tmp_path / "models" / "new", medium / "model.safetensors", tmp_path / "aside"

    def pull(event: Event) -> None:
        if isinstance(event, Progress) and event.done > 60_000 and not aside.exists():
            os.truncate(weights, 1000)
            medium.parent.rename(aside)

    whole, state = weights.read_bytes(), weights.stat()
    with pytest.raises(ApplianceError):
        adopt(medium, place, pull)
    aside.rename(medium.parent)
    other = bytearray(whole)
    other[3 * 4096] ^= 1  # neither in the first piece nor in the last that was copied
    weights.write_bytes(other)
    os.utime(weights, ns=(state.st_atime_ns, state.st_mtime_ns))
    write_list(medium)
    adopt(medium, place)
    assert file_sha256(place / "model.safetensors") == hashlib.sha256(other).hexdigest()


def test_unfinished_copies_make_room_for_what_is_wanted(medium: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a full disk what an import left long ago is removed, and told; what somebody works on is not."""
    place, told = tmp_path / "models" / "new", []
    left, busy = place.parent / ".copies" / "left", place.parent / ".copies" / "busy"
    for folder in (left, busy):
        (folder / "data").mkdir(parents=True)
        (folder / "data" / "x").write_bytes(bytes(1000))

    def require_space(_place: Path, needed: int) -> None:
        told.append(needed)
        if left.exists():
            raise ApplianceError("disk_too_small", path="", needed=needed, free=0)

    monkeypatch.setattr(unfinished, "require_space", require_space)
    held = try_lock(busy / "lock")
    assert held is not None
    with held:
        events = adopt(medium, place)
    assert notices(events)["copy_given_up"]["size"] == 1000
    assert (left.exists(), busy.exists()) == (False, True)


# ── a worker of its own, on a file of 12 pieces, under strace, which lets reads fail or take long ──────────────────────────────────


@pytest.fixture
def big(tmp_path: Path) -> Path:
    """A GGUF file whose header is sound; most of it is a hole, but copied all the same."""
    path = tmp_path / "medium" / "big.gguf"
    path.parent.mkdir()
    size = PIECES * PIECE_BYTES - 4096
    raw = header(tensors=[tensor("token_embd.weight", (size // 4,))])
    with path.open("wb") as file:
        file.write(raw)
        file.truncate(len(raw) + size)
    return path


def worker(source: Path, tmp_path: Path, *inject: str) -> list[str]:
    """The command of a worker that adopts the file; strace changes what happens when it reads it."""
    place = tmp_path / "models" / "m" / "new.gguf"
    spec = AdoptSpec(source=str(source), output=str(place), copies=str(tmp_path / "models" / ".copies"), check=False)
    (tmp_path / "spec.json").write_bytes(msgspec.json.encode(spec))
    strace = ["strace", "-f", "-qq", "-o", str(tmp_path / "strace.out"), "-P", str(source), "-e", "trace=read"]
    injected = [*strace, *(part for what in inject for part in ("-e", f"inject=read:{what}"))] if inject else []
    return [*injected, sys.executable, "-P", "-m", "appliance.running.worker", "adopt", str(tmp_path / "spec.json")]


def told_by(command: list[str]) -> list[Event]:
    """Everything that a worker says until its end."""
    ended = subprocess.run(command, env={**os.environ, "PYTHONPATH": str(HOUSE)}, stdout=subprocess.PIPE, check=False)
    return [from_line(line) for line in ended.stdout.splitlines()]


def went_on(source: Path, tmp_path: Path) -> int:
    """A second worker finishes the copy; the bytes that it found."""
    events = told_by(worker(source, tmp_path))
    (artifact,) = [event.artifact for event in events if isinstance(event, Produced)]
    assert artifact.sha256 == file_sha256(source) == file_sha256(Path(artifact.path))
    assert not (tmp_path / "models" / ".copies").exists()
    return int(notices(events)["copy_continued"]["kept"])


@pytest.mark.slow
def test_a_read_error_of_the_kernel_is_one_sentence(big: Path, tmp_path: Path) -> None:
    """``EIO`` and ``ENODEV`` in the middle: the medium is named with how far it came, and the next worker goes on."""
    for error, reads in (("EIO", 8), ("ENODEV", 10)):
        (failed,) = [one for one in told_by(worker(big, tmp_path, f"error={error}:when={reads}+")) if isinstance(one, Failed)]
        assert (failed.code, failed.exit_code) == ("medium_lost_while_copying", 3)
        assert failed.parameters["reason"] == os.strerror(getattr(__import__("errno"), error))
        assert 0 < failed.parameters["kept"] < failed.parameters["total"] == big.stat().st_size
        assert not (tmp_path / "models" / "m").exists()
    assert went_on(big, tmp_path) == failed.parameters["kept"]


@pytest.fixture(params=[signal.SIGKILL, signal.SIGTERM])
def ended(request: pytest.FixtureRequest, big: Path, tmp_path: Path) -> Iterator[list[Event]]:
    """What a worker said that was ended in the middle of a copy which takes some seconds."""
    command = worker(big, tmp_path, "delay_enter=200000")
    with subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(HOUSE)}, stdout=subprocess.PIPE) as running:
        assert running.stdout is not None
        events: list[Event] = []
        while not (events and isinstance(events[-1], Progress) and events[-1].done > 3 * PIECE_BYTES):
            line = running.stdout.readline()
            assert line, events
            events.append(from_line(line))
        (child,) = (int(pid) for pid in Path(f"/proc/{running.pid}/task/{running.pid}/children").read_text().split())
        os.kill(child, request.param)
        events += [from_line(line) for line in running.stdout]
        yield events


@pytest.mark.slow
def test_a_worker_that_is_ended_leaves_what_it_has(ended: list[Event], big: Path, tmp_path: Path) -> None:
    """After ``kill -9`` and after Ctrl-C nothing is published, and the next worker goes on; who was asked to leave tells what is kept."""
    assert not [event for event in ended if isinstance(event, Produced)]
    assert not (tmp_path / "models" / "m").exists()
    told = notices(ended)
    kept = went_on(big, tmp_path)
    assert 3 * PIECE_BYTES < kept < big.stat().st_size
    assert "copy_kept" not in told or told["copy_kept"]["kept"] == kept


@pytest.mark.slow
def test_ctrl_c_tells_what_is_kept_and_lists_nothing(big: Path, tmp_path: Path) -> None:
    """The command ends with 130 and says how much the next try will find; there is no such model, and its name is free."""
    strace = ["strace", "-f", "-qq", "-o", "/dev/null", "-P", str(big), "-e", "trace=read", "-e", "inject=read:delay_enter=200000"]
    greenwave = [sys.executable, "-P", "-m", "appliance.entry"]
    variables = {**os.environ, "PYTHONPATH": str(HOUSE)}
    command = [*strace, *greenwave, "models", "import", str(big), "--name", "big"]
    with subprocess.Popen(command, env=variables, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as running:
        journals = Path(os.environ["GREENWAVE_HOME"]) / "models" / ".copies"
        deadline = time.monotonic() + 60
        while not any(path.stat().st_size > 300 for path in journals.glob("*/journals/*")):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        children = Path(f"/proc/{running.pid}/task/{running.pid}/children").read_text().split()
        os.kill(int(children[0]), signal.SIGINT)
        out, err = running.communicate(timeout=60)
        assert (running.returncode, out) == (130, "")
    assert "are kept: the same command goes on from there." in err
    listed = subprocess.run([*greenwave, "models", "list", "--json"], env=variables, capture_output=True, check=True, text=True)
    assert json.loads(listed.stdout) == []
