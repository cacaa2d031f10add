"""Media that records and models are brought in on: what is mounted, and what lies in a folder."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

import msgspec

from appliance.domain.errors import ApplianceError, ExitCode

MEDIA_VARIABLE = "GREENWAVE_MEDIA"
"""Further folders to import from, separated by colons; a container has its media where they were mounted into it."""
PLACES = ("/media", "/run/media", "/mnt")
"""Where desktops and administrators mount media."""
MOST_ENTRIES = 2000
_MOUNTS = Path("/proc/self/mountinfo")
_ESCAPE = re.compile(r"\\([0-7]{3})")

Use = Literal["folder", "base", "adapter", "gguf", "records", "other"]

_RECORDS = frozenset(
    [
        "json",
        "jsonl",
        "ndjson",
        "csv",
        "tsv",
        "xlsx",
        "xls",
        "parquet",
        "txt",
        "md",
        "markdown",
        "html",
        "htm",
        "docx",
        "pdf",
        "zip",
        "xml",
        "gz",
    ]
)


class Medium(msgspec.Struct, frozen=True, kw_only=True):
    """A place to import from."""

    path: str
    device: str
    """``/dev/sdb1``, or empty for a folder that was named."""
    filesystem: str
    is_read_only: bool
    total: int
    """Bytes; 0 when the medium does not say."""
    free: int


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A file or folder."""

    name: str
    path: str
    use: Use
    """What it looks like from outside: a model, records, or neither. The import decides by the content."""
    size: int
    """Bytes of a file; 0 for a folder."""
    modified: float
    """Seconds since 1970."""


class Listing(msgspec.Struct, frozen=True, kw_only=True):
    """A folder's content, folders first, then by name; hidden entries are left out."""

    path: str
    entries: tuple[Entry, ...]
    more: int = 0
    """Entries that are not listed because there are too many."""


class MediaService:
    """What front ends ask before an import. A medium that hangs lets the caller hang: ask from a thread that may."""

    def __init__(self, environment: Mapping[str, str] = os.environ, mounts: Path = _MOUNTS) -> None:
        self._environment = environment
        self._mounts = mounts

    def mounted(self) -> list[Medium]:
        """Mounted media, and folders that the environment names, each once."""
        named = [Path(name) for name in self._environment.get(MEDIA_VARIABLE, "").split(":") if name]
        found = {medium.path: medium for medium in self._mounted() if medium.path.startswith(tuple(f"{place}/" for place in PLACES))}
        for folder in named:
            if folder.is_dir() and str(folder) not in found:
                found[str(folder)] = _medium(str(folder), "", "", is_read_only=not os.access(folder, os.W_OK))
        return list(found.values())

    def entries(self, folder: Path) -> Listing:
        """What lies in a folder. Raises ``source_missing`` when it cannot be read."""
        try:
            with os.scandir(folder) as found:
                names = [entry for entry in found if not entry.name.startswith(".")]
        except OSError as error:
            raise ApplianceError("source_missing", ExitCode.BAD_DATA, path=str(folder), reason=error.strerror or "") from error
        # A name that is not UTF-8 can be kept neither in the registry nor in JSON.
        entries = sorted((_entry(entry) for entry in names if _is_text(entry.name)), key=lambda one: (one.use != "folder", one.name))
        return Listing(path=str(folder), entries=tuple(entries[:MOST_ENTRIES]), more=max(0, len(entries) - MOST_ENTRIES))

    def _mounted(self) -> Iterator[Medium]:
        try:
            lines = self._mounts.read_text("utf-8", "surrogateescape").splitlines()
        except OSError:
            return
        for line in lines:
            # Format: proc(5), /proc/pid/mountinfo. A dash ends the optional fields.
            before, dash, behind = line.partition(" - ")
            fields, about = before.split(" "), behind.split(" ")
            if dash and len(fields) >= 6 and len(about) >= 2:
                path, device = _plain(fields[4]), _plain(about[1])
                if _is_text(path) and Path(path).is_dir():
                    yield _medium(path, device, about[0], is_read_only="ro" in fields[5].split(","))


def _medium(path: str, device: str, filesystem: str, *, is_read_only: bool) -> Medium:
    try:
        usage = shutil.disk_usage(path)
        total, free = usage.total, usage.free
    except OSError:
        total = free = 0
    return Medium(path=path, device=device, filesystem=filesystem, is_read_only=is_read_only, total=total, free=free)


def _entry(found: os.DirEntry[str]) -> Entry:
    try:
        is_folder, state = found.is_dir(), found.stat()
        size, modified = state.st_size, state.st_mtime
    except OSError:  # a link that leads nowhere, a damaged medium
        is_folder, size, modified = False, 0, 0.0
    use: Use = _use_of_folder(Path(found.path)) if is_folder else _use_of_file(found.name)
    return Entry(name=found.name, path=found.path, use=use, size=0 if is_folder else size, modified=modified)


def _use_of_folder(folder: Path) -> Use:
    if (folder / "adapter_config.json").is_file():
        return "adapter"
    return "base" if (folder / "config.json").is_file() else "folder"


def _use_of_file(name: str) -> Use:
    suffix = name.rpartition(".")[2].lower()
    return "gguf" if suffix == "gguf" else "records" if suffix in _RECORDS else "other"


def _plain(field: str) -> str:
    """A path as it is: the kernel writes spaces, tabs and the like as octal numbers."""
    return _ESCAPE.sub(lambda found: chr(int(found[1], 8)), field)


def _is_text(name: str) -> bool:
    return name == name.encode("utf-8", "replace").decode()
