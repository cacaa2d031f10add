"""Lists of checksums that lie beside files on a medium, as ``sha256sum`` of GNU coreutils writes them.

A line is ``DIGEST  NAME`` or ``DIGEST *NAME``; a backslash before the digest says that backslashes and line breaks of the name are
escaped. Names count from the folder that the list lies in.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from appliance.domain.errors import ApplianceError

NAMES = ("SHA256SUMS", "SHA256SUMS.txt", "sha256sums.txt", "sha256sum.txt", "checksums.sha256")
SUFFIX = ".sha256"
LARGEST_LIST = 16 << 20

_LINE = re.compile(r"(\\?)([0-9a-fA-F]{64}) [ *](.+)")
_ALONE = re.compile(r"[0-9a-fA-F]{64}")
_ESCAPES = {"\\\\": "\\", "\\n": "\n", "\\r": "\r"}


def is_list(name: str) -> bool:
    """Whether a file of this name is a list of checksums."""
    return name in NAMES or name.endswith(SUFFIX)


def listed_checksums(folder: Path, places: Iterable[str] = ()) -> dict[str, str]:
    """``{name: sha256}`` of all lists that lie in ``folder`` and in its folders ``places``; names count from ``folder``.

    A name that leads out of the folder speaks of nothing here. Raises ``checksums_broken`` for a list that is none, and
    ``checksums_contradict``.
    """
    told: dict[str, str] = {}
    for place in sorted({PurePosixPath(), *map(PurePosixPath, places)}):
        for path in sorted(entry for entry in (folder / place).iterdir() if is_list(entry.name) and entry.is_file()):
            for name, digest in read_list(path).items():
                known = place / name
                if not known.is_absolute() and ".." not in known.parts and told.setdefault(known.as_posix(), digest) != digest:
                    raise ApplianceError("checksums_contradict", path=str(path), name=known.as_posix())
    return told


def read_list(path: Path) -> dict[str, str]:
    """One list; a file ``X.sha256`` with nothing but a digest speaks of ``X``. Raises ``checksums_broken``."""
    try:
        lines = path.read_text("utf-8").splitlines() if path.stat().st_size <= LARGEST_LIST else ["?"]
    except UnicodeDecodeError:
        lines = ["?"]
    found: dict[str, str] = {}
    for line in lines:
        if not line.strip() or line.startswith("#"):
            continue
        if _ALONE.fullmatch(line.strip()) and path.suffix == SUFFIX:
            found[path.stem] = line.strip().lower()
        elif match := _LINE.fullmatch(line):
            found[_plain_name(match[3]) if match[1] else match[3].removeprefix("./")] = match[2].lower()
        else:
            raise ApplianceError("checksums_broken", path=str(path), line=line[:80])
    return found


def _plain_name(name: str) -> str:
    return re.sub(r"\\[\\nr]", lambda found: _ESCAPES[found[0]], name).removeprefix("./")
