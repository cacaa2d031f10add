"""Copies that are not finished yet: where they lie, who is at work on one, and which are given up when the disk is full.

Each import copies into a folder of its own, named for the names and sizes of what is copied, so that the same medium finds it again
wherever it is mounted next time. The folder becomes the model by a rename, or stays for the next try.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path

from appliance.domain.errors import ApplianceError
from appliance.domain.event import Emit, Notice
from appliance.files.checksum import size_of
from appliance.files.copying import CopiedFile, copy_resumable, kept_bytes
from appliance.files.publish import publish_file, publish_folder
from appliance.files.space import require_space
from appliance.processes.locks import try_lock

_DATA, _JOURNALS, _LOCK = "data", "journals", "lock"


class UnfinishedCopy:
    """A folder that fills up."""

    def __init__(self, folder: Path, sources: Mapping[str, Path]) -> None:
        self.folder = folder
        self.data = folder / _DATA
        """What will be published; ``sources`` by their names are copied into it."""
        self._journals = folder / _JOURNALS
        self._sources = sources
        self._remove_strangers()

    @property
    def kept(self) -> int:
        """Bytes that an earlier try seems to have left."""
        return sum(kept_bytes(self.data / name, self._journal(name)) for name in self._sources)

    def bring(self, name: str, expected: str | None, tell: Callable[[int], None]) -> CopiedFile:
        """Copy one file. Raises ``checksum_differs`` when it has not the checksum that the medium tells, and what copying raises.

        A copy that was continued is made once more from the beginning before the medium is blamed.
        """
        source, target = self._sources[name], self.data / name
        target.parent.mkdir(parents=True, exist_ok=True)
        self._journal(name).parent.mkdir(parents=True, exist_ok=True)
        copied = copy_resumable(source, target, self._journal(name), tell)
        if expected is not None and copied.sha256 != expected and copied.kept:
            self._journal(name).unlink()
            copied = copy_resumable(source, target, self._journal(name))
        if expected is not None and copied.sha256 != expected:
            self._journal(name).unlink()
            target.unlink()
            raise ApplianceError("checksum_differs", path=str(source), expected=expected, found=copied.sha256)
        return copied

    def publish_file(self, name: str, place: Path) -> None:
        """Let the one file become ``place``."""
        publish_file(self.data / name, place)
        self.discard()

    def publish_folder(self, place: Path) -> None:
        """Let the folder become ``place``."""
        publish_folder(self.data, place)
        self.discard()

    def discard(self) -> None:
        """Remove what is left of it."""
        shutil.rmtree(self.folder, ignore_errors=True)
        with suppress(OSError):  # others are at work there
            self.folder.parent.rmdir()

    def _journal(self, name: str) -> Path:
        return self._journals / f"{name}.journal"

    def _remove_strangers(self) -> None:
        """What an earlier try has made of the files, such as a tokenizer's other form, is made anew."""
        for path in list(self.data.rglob("*")):
            if not path.is_dir() and path.relative_to(self.data).as_posix() not in self._sources:
                path.unlink()


@contextmanager
def unfinished_copy(copies: Path, sources: Mapping[str, Path], sizes: Mapping[str, int], emit: Emit) -> Iterator[UnfinishedCopy]:
    """The copy of these files that an earlier try has left, or a new one; nobody else is at work on it. ``sizes`` are the files' bytes.

    There is room for it, if need be because others that nobody works on were given up. Raises ``disk_too_small``.
    """
    identity = "".join(f"{size} {name}\n" for name, size in sorted(sizes.items()))
    key = hashlib.sha256(identity.encode()).hexdigest()[:16]
    with _claimed(copies, key) as folder:
        copy = UnfinishedCopy(folder, sources)
        try:
            _make_room(copies, sum(sizes.values()) - copy.kept, emit)
            yield copy
        finally:
            if not copy.kept:
                copy.discard()


@contextmanager
def _claimed(copies: Path, key: str) -> Iterator[Path]:
    """A folder of this name that nobody works on; the same files may be brought in twice at the same time."""
    for number in count():
        folder = copies / (f"{key}-{number}" if number else key)
        try:
            lock = try_lock(folder / _LOCK)
        except FileNotFoundError:  # whoever worked on it has just tidied up
            continue
        if lock is not None:
            with lock:
                yield folder
            return


def _make_room(copies: Path, needed: int, emit: Emit) -> None:
    """Give up copies that nobody works on, the oldest first, until there is room."""
    for folder in sorted(copies.iterdir(), key=lambda folder: folder.stat().st_mtime):
        try:
            return require_space(copies, needed)
        except ApplianceError:
            if (lock := try_lock(folder / _LOCK)) is not None:
                with lock:
                    size = size_of(folder)
                    shutil.rmtree(folder, ignore_errors=True)
                emit(Notice("warning", "copy_given_up", {"size": size}))
    return require_space(copies, needed)
