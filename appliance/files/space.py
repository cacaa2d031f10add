"""Room on a disk: asked for before the work, and named when it ran out during it."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from appliance.domain.errors import ApplianceError, ExitCode

_FULL = (errno.ENOSPC, errno.EDQUOT)

KEEP_FREE = 64 << 20
"""Bytes left alone so that the database and logs can still be written."""


def require_space(place: Path, needed: int) -> None:
    """Raise ``disk_too_small`` unless ``needed`` bytes and a reserve are free where ``place`` will be written."""
    lack = lack_of_space(place, needed)
    if lack:
        raise ApplianceError("disk_too_small", ExitCode.NO_ROOM, **lack)


def lack_of_space(place: Path, needed: int) -> dict[str, Any]:
    """``path``, ``needed`` (the reserve included) and ``free`` where there is less than that; empty where there is enough."""
    there = next(folder for folder in (place, *place.parents) if os.path.exists(folder))  # noqa: PTH110  # says no where Path raises
    free, wanted = shutil.disk_usage(there).free, needed + KEEP_FREE
    return {"path": str(there), "needed": wanted, "free": free} if free < wanted else {}


@contextmanager
def kept_free(place: Path, size: int) -> Iterator[None]:
    """Occupy ``size`` bytes at ``place`` as long as the block lasts: that much is free after it, however full the disk is by then."""
    try:
        with place.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, size)
    except OSError:
        place.unlink(missing_ok=True)  # there is not even room for this; the work itself will say so
    try:
        yield
    finally:
        place.unlink(missing_ok=True)


@contextmanager
def disk_full_named(place: Path) -> Iterator[None]:
    """Turn "no space left" and "quota exceeded", in whatever a library makes of them, into ``disk_full`` with the place written to."""
    try:
        yield
    except ApplianceError:
        raise
    except Exception as error:
        if _tells_of_full_disk(error):
            raise ApplianceError("disk_full", ExitCode.NO_ROOM, path=str(place)) from error
        raise


def _tells_of_full_disk(error: BaseException | None) -> bool:
    """The system's own error, one that was raised on the way out of it (torch), or one that only quotes it (safetensors)."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in _FULL:
            return True
        if any(f"(os error {number})" in str(error) for number in _FULL):
            return True
        error = error.__cause__ or error.__context__
    return False
