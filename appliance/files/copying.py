"""Copying big files from a medium that may be pulled out, by a process that may be killed, so that the next try goes on where it was.

Beside the copy lies a journal: a line about the source, then the SHA-256 of every piece that was copied. What is there already is
verified, not trusted: a later try reads the pieces of the copy again and keeps them up to the first that differs from the journal, and
compares some of them with the source, which must have the same size and time of change. So nothing has to be forced to the disk on the
way, and a journal that says more than reached the disk does no harm.
"""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import BinaryIO

import msgspec

from appliance.domain.errors import ApplianceError

PIECE_BYTES = 16 << 20
SAMPLES = 8
"""Pieces of an earlier try that are read from the source again."""

_GONE = frozenset(
    {
        errno.EIO, errno.ENODEV, errno.ENXIO, errno.ENOENT, errno.ENOMEDIUM, errno.EMEDIUMTYPE, errno.ESTALE, errno.ENOTCONN,
        errno.EREMOTEIO, errno.EHOSTDOWN, errno.ETIMEDOUT, errno.ESHUTDOWN, errno.EUCLEAN, errno.EBADMSG,
    }
)  # fmt: skip
"""What reading fails with when a medium was pulled out, is damaged, or a share has gone."""

_DIGEST_LINE = 65

Tell = Callable[[int], None]


class _Source(msgspec.Struct, frozen=True):
    """The first line of a journal."""

    size: int
    modified: int
    """Nanoseconds since 1970."""


@dataclass(frozen=True)
class CopiedFile:
    """A file that is whole."""

    sha256: str
    size: int
    kept: int
    """Bytes that an earlier try had copied."""


@contextmanager
def medium_watched(source: Path) -> Iterator[None]:
    """Turn what reading fails with when a medium has gone into ``medium_lost``; the block reads from ``source`` and writes nowhere.

    A search through a folder takes a file that cannot be reached for one that is not there, so whatever the block refuses, the medium is
    looked at again.
    """
    was_there = source.exists()
    try:
        yield
    except OSError as error:
        if error.errno not in _GONE or not was_there:
            raise
        raise _lost(source, error) from error
    except ApplianceError as refusal:
        reason = _gone(source) if was_there and refusal.code != "medium_lost" else None
        if reason is not None:
            raise _lost(source, reason) from refusal
        raise


def kept_bytes(target: Path, journal: Path) -> int:
    """How much of a copy an earlier try seems to have left: nothing of it is verified yet."""
    try:
        pieces = (journal.stat().st_size - len(_header_line(journal))) // _DIGEST_LINE
        return min(target.stat().st_size, max(0, pieces) * PIECE_BYTES)
    except (OSError, ValueError):
        return 0


def copy_resumable(source: Path, target: Path, journal: Path, tell: Tell = lambda _count: None) -> CopiedFile:
    """Copy one file, or what is still missing of it; ``tell`` hears the bytes of every piece, of those that were there already as well.

    Raises ``medium_lost`` when the source cannot be read to its end, ``source_changed`` when it changed meanwhile; both leave what there is
    for the next try. The copy is not forced to the disk.
    """
    with _opened(source) as reading, target.open("r+b" if target.exists() else "w+b") as writing:
        state = os.fstat(reading.fileno())
        about = _Source(state.st_size, state.st_mtime_ns)
        whole = hashlib.sha256()
        digests = _sound_pieces(reading, source, writing, journal, about)
        kept = 0
        for digest in digests:
            piece = writing.read(PIECE_BYTES)
            if not piece or hashlib.sha256(piece).hexdigest() != digest:
                break
            whole.update(piece)
            kept += len(piece)
            tell(len(piece))
        writing.truncate(kept)
        writing.seek(kept)
        reading.seek(kept)
        with _journal(journal, about, digests[: -(-kept // PIECE_BYTES)]) as noting:
            copied = kept
            while copied < about.size:
                piece = _piece(reading, source, min(PIECE_BYTES, about.size - copied))
                writing.write(piece)
                writing.flush()
                noting.write(hashlib.sha256(piece).hexdigest().encode() + b"\n")
                whole.update(piece)
                copied += len(piece)
                tell(len(piece))
        # What came from a medium will hardly be read again soon, and must not push out what is.
        os.posix_fadvise(reading.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        state = os.fstat(reading.fileno())
    if _Source(state.st_size, state.st_mtime_ns) != about:
        raise ApplianceError("source_changed", path=str(source))
    return CopiedFile(whole.hexdigest(), copied, kept)


def _sound_pieces(reading: FileIO, source: Path, writing: BinaryIO, journal: Path, about: _Source) -> list[str]:
    """The journal's digests, if the source is still what was copied; of a line that was cut off, nothing."""
    try:
        header = _header_line(journal)
        if msgspec.json.decode(header, type=_Source) != about:
            return []
        lines = journal.read_bytes()[len(header) :].decode("ascii")
    except (OSError, ValueError):
        return []
    there = -(-os.fstat(writing.fileno()).st_size // PIECE_BYTES)
    digests = [line[:-1] for line in lines.splitlines(keepends=True) if len(line) == _DIGEST_LINE and line.endswith("\n")][:there]
    for number in sorted({round(place * (len(digests) - 1) / (SAMPLES - 1)) for place in range(SAMPLES)} if digests else ()):
        reading.seek(number * PIECE_BYTES)
        wanted = min(PIECE_BYTES, about.size - number * PIECE_BYTES)
        if wanted <= 0 or hashlib.sha256(_piece(reading, source, wanted)).hexdigest() != digests[number]:
            return []
    return digests


@contextmanager
def _journal(path: Path, about: _Source, digests: list[str]) -> Iterator[FileIO]:
    """The journal with what is known, open for more; every line is written at once."""
    with path.open("wb", buffering=0) as noting:
        noting.write(msgspec.json.encode(about) + b"\n" + "".join(f"{digest}\n" for digest in digests).encode())
        yield noting


def _header_line(journal: Path) -> bytes:
    with journal.open("rb") as file:
        return file.readline(200)


@contextmanager
def _opened(source: Path) -> Iterator[FileIO]:
    try:
        file = source.open("rb", buffering=0)
    except OSError as error:
        if error.errno not in _GONE:
            raise
        raise _lost(source, error) from error
    with file:
        yield file


def _piece(reading: FileIO, source: Path, count: int) -> bytes:
    """So many bytes of the source; raises ``medium_lost`` for fewer."""
    parts: list[bytes] = []
    try:
        while count:
            part = reading.read(count)
            if not part:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            parts.append(part)
            count -= len(part)
    except OSError as error:
        raise _lost(source, error) from error
    return b"".join(parts)


def _gone(source: Path) -> OSError | None:
    """Why a file or folder that was there cannot be read any more."""
    try:
        if source.is_dir():
            os.scandir(source).close()
        else:
            with source.open("rb", buffering=0) as file:
                file.read(1)
    except OSError as error:
        return error
    return None


def _lost(source: Path, error: OSError) -> ApplianceError:
    return ApplianceError("medium_lost", path=str(source), reason=error.strerror or str(error))
