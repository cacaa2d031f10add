"""The volume that holds everything, in a container: whether it is one, whether it may be written, and to whom it belongs if not."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from appliance.domain.errors import ApplianceError, ExitCode

CONTAINER_VARIABLE = "GREENWAVE_CONTAINER"
"""Set by the image."""

_ESCAPED = re.compile(r"\\([0-7]{3})")


def in_container() -> bool:
    """Whether this is Greenwave's own image."""
    return bool(os.environ.get(CONTAINER_VARIABLE))


def require_volume(root: Path, mounts: Path = Path("/proc/self/mountinfo")) -> None:
    """Raise ``volume_missing`` if what is written to ``root`` would go into the container and be lost with it."""
    place = root.resolve()
    if not any(place.is_relative_to(point) for point in _mount_points(mounts) if point != Path("/")):
        raise ApplianceError("volume_missing", ExitCode.USAGE, path=str(root))


def require_own(root: Path) -> None:
    """Raise ``volume_read_only`` or ``volume_foreign`` if this user cannot work in ``root`` or with what lies right below it."""
    there = next(folder for folder in (root, *root.parents) if os.access(folder, os.F_OK))
    if os.statvfs(there).f_flag & os.ST_RDONLY:
        raise ApplianceError("volume_read_only", ExitCode.NO_ROOM, path=str(root))
    for place in _looked_at(there, is_root=there == root):
        wanted = os.R_OK | os.W_OK | (os.X_OK if place.is_dir() else 0)
        if not os.access(place, wanted):
            status = place.stat()
            owner, ours = f"{status.st_uid}:{status.st_gid}", f"{os.getuid()}:{os.getgid()}"
            raise ApplianceError("volume_foreign", ExitCode.NO_ROOM, path=str(place), owner=owner, user=ours)


def _looked_at(there: Path, is_root: bool) -> Iterator[Path]:
    yield there
    if is_root:
        # What a file system keeps for itself, such as lost+found, is not ours to look at.
        yield from (place for place in sorted(there.iterdir()) if place.name in _OURS or place.name.startswith("greenwave.db"))


_OURS = frozenset({"datasets", "models", "runs", "keys", "cache", "serve"})


def _mount_points(mounts: Path) -> Iterator[Path]:
    """Every mount point of this process, see ``proc_pid_mountinfo(5)``."""
    # Only a line feed ends a line, and it is written escaped where it belongs to a name; other ends of lines are not.
    for line in mounts.read_bytes().decode("utf-8", "surrogateescape").rstrip("\n").split("\n"):
        yield Path(_ESCAPED.sub(lambda escaped: chr(int(escaped[1], 8)), line.split(" ", 5)[4]))
