"""Zip archives of files: unpacked into a folder of ours with limits, every entry that is left out listed with its reason.

Names of entries are names for people and never become paths. Windows writes Chinese names as GBK without saying so; they are read as such.
"""

from __future__ import annotations

import errno
import stat
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from appliance.domain.dataset import Rejected, printable
from appliance.domain.errors import ApplianceError
from appliance.files.lines import BLOCK
from appliance.files.space import require_space
from appliance.stages.ingest.refusal import Refused

MOST_ENTRIES = 10_000
LARGEST_ENTRY = 8 << 30
"""Bytes, unpacked."""
LARGEST = 64 << 30
"""Bytes of all entries, unpacked."""
HONEST_RATIO = 200
"""Text is packed 5 to 50 times; a bomb a thousand times."""
ALWAYS_HONEST = 8 << 20
"""Bytes that an entry may have whatever its ratio."""

_UTF8_FLAG, _ENCRYPTED_FLAG = 0x800, 0x1
_SYSTEM = ("__MACOSX/", ".DS_Store", "Thumbs.db", "desktop.ini", "~$")
_PACKED = (".zip", ".rar", ".7z", ".tar", ".tgz", ".bz2", ".xz")


@dataclass(frozen=True)
class Entry:
    """A file that was unpacked."""

    path: Path
    """Where it lies now."""
    name: str
    """``ARCHIVE/FOLDER/FILE``."""
    number: int
    """Which entry of the archive it is, from 1."""


def unpack(archive: Path, name: str, folder: Path) -> Iterator[Entry | Rejected]:
    """Every file of the archive, in its order.

    Raises ``file_damaged``, ``archive_too_many`` or ``file_is_bomb`` for an archive that is not unpacked at all, ``disk_too_small`` when
    there is no room for it.
    """
    try:
        opened = zipfile.ZipFile(archive)
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError) as error:
        raise ApplianceError("file_damaged", name=name) from error
    with opened:
        entries = [entry for entry in opened.infolist() if not entry.is_dir()]
        _refuse_whole(archive, name, entries)
        require_space(folder, sum(entry.file_size for entry in entries))
        for number, entry in enumerate(entries, 1):
            shown = f"{name}/{printable(_readable_name(entry))}"
            target = folder / str(number)
            try:
                _refuse(entry)
                _write(opened, entry, target)
            except Refused as verdict:
                target.unlink(missing_ok=True)
                yield Rejected(number, verdict.reason, verdict.parameters, printable(_readable_name(entry)), source=shown)
            else:
                yield Entry(target, shown, number)


def _refuse_whole(archive: Path, name: str, entries: list[zipfile.ZipInfo]) -> None:
    if len(entries) > MOST_ENTRIES:
        raise ApplianceError("archive_too_many", name=name, entries=len(entries), limit=MOST_ENTRIES)
    unpacked, packed = sum(entry.file_size for entry in entries), sum(entry.compress_size for entry in entries)
    # Entries that share their bytes are packed more than the file is long.
    if unpacked > LARGEST or packed > 2 * archive.stat().st_size:
        raise ApplianceError("file_is_bomb", name=name, unpacked=unpacked)


def _refuse(entry: zipfile.ZipInfo) -> None:
    """Raise Refused for an entry that is not unpacked."""
    name = _readable_name(entry).replace("\\", "/")
    parts = PurePosixPath(name).parts
    if ".." in parts or name.startswith("/") or (len(name) > 1 and name[1] == ":"):
        raise Refused("entry_leads_outside")
    if stat.S_ISLNK(entry.external_attr >> 16):
        raise Refused("entry_is_link")
    if entry.flag_bits & _ENCRYPTED_FLAG:
        raise Refused("entry_encrypted")
    if name.startswith(_SYSTEM) or (parts and parts[-1].startswith(_SYSTEM)):
        raise Refused("entry_of_system")
    if name.lower().endswith(_PACKED):
        raise Refused("entry_packed")
    if entry.file_size > LARGEST_ENTRY or entry.file_size > max(ALWAYS_HONEST, HONEST_RATIO * entry.compress_size):
        raise Refused("entry_is_bomb", unpacked=entry.file_size)


def _write(opened: zipfile.ZipFile, entry: zipfile.ZipInfo, target: Path) -> None:
    try:
        with opened.open(entry) as reading, target.open("xb") as writing:
            _copy(reading, writing, entry.file_size)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        # A place in the archive that does not exist.
        raise Refused("entry_damaged") from error
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
        raise Refused("entry_damaged") from error


def _copy(reading: IO[bytes], writing: IO[bytes], promised: int) -> None:
    """Copy no more than was promised, whatever comes."""
    left = promised
    while block := reading.read(min(BLOCK, left + 1)):
        left -= len(block)
        if left < 0:
            raise Refused("entry_damaged")
        writing.write(block)


def _readable_name(entry: zipfile.ZipInfo) -> str:
    """The name as it was meant: UTF-8 where the entry says so, else as UTF-8 or GBK bytes, whichever they are."""
    if entry.flag_bits & _UTF8_FLAG:
        return entry.filename
    try:
        raw = entry.filename.encode("cp437")
    except UnicodeEncodeError:
        return entry.filename
    for encoding in ("utf-8", "gb18030"):
        try:
            return raw.decode(encoding)
        except UnicodeDecodeError:
            continue
    return entry.filename
