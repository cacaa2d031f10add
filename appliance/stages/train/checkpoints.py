"""Checkpoints on disk: written whole or not at all, believed only when every byte is as it was written.

A checkpoint is a folder ``step-00000050`` with whatever its maker puts there and ``manifest.json``, written last: the SHA-256 of every
other file, and whose checkpoint it is. The folder is filled under another name, forced to the disk and then renamed. Weights that did
best in a validation lie beside them in ``best-00000040``; they stay for as long as a checkpoint may go back to them. Which those are
is in its manifest: a checkpoint and the best weights of one step may have been written in either order.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import msgspec

from appliance.domain.errors import ApplianceError
from appliance.domain.event import Emit, Notice
from appliance.files.checksum import folder_manifest
from appliance.files.publish import PARTIAL, published_folder
from appliance.files.space import disk_full_named

MANIFEST_FILE = "manifest.json"
_NAME = re.compile(r"(step|best)-(\d{8,})")
Kind = Literal["step", "best"]


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The last file of a checkpoint."""

    identity: str
    """Of the training run, see ``identity.py``."""
    files: dict[str, str]
    """SHA-256 by name."""
    best: int | None = None
    """Step of the best weights that there were when it was written, 0 for none; not in manifests of before."""


class CheckpointStore:
    """The checkpoints of one run in one folder, which nobody else writes to."""

    def __init__(self, folder: Path, keep: int, identity: str) -> None:
        self._folder = folder
        self._keep = keep
        self._identity = identity

    def save(self, step: int, fill: Callable[[Path], None]) -> None:
        """Have ``fill`` write the files of a checkpoint, publish it, then drop all but the newest; raises ``disk_full``."""
        self._write(self._place("step", step), fill)

    def save_best(self, step: int, fill: Callable[[Path], None]) -> None:
        """The same for weights that did best so far."""
        self._write(self._place("best", step), fill)

    def newest(self, emit: Emit) -> Path | None:
        """The newest checkpoint that is whole; tells of each broken one on the way to it.

        Raises ``checkpoint_of_other_training`` for a whole one of another base, dataset or recipe.
        """
        for step in self._steps("step"):
            place = self._place("step", step)
            state = self._examined(place)
            if state == "whole":
                return place
            if state == "foreign":
                raise ApplianceError("checkpoint_of_other_training", path=str(place))
            emit(Notice("warning", "checkpoint_broken", {"name": place.name}))
        return None

    def best(self, step: int) -> Path | None:
        """The weights that were saved as the best of this step, if they are whole."""
        place = self._place("best", step)
        return place if self._examined(place) == "whole" else None

    def go_back_to(self, step: int) -> None:
        """Remove what is not believed, comes after this step or was never finished: a future that will be written anew."""
        if not self._folder.is_dir():
            return
        for left in self._folder.glob(f"*{PARTIAL}"):
            shutil.rmtree(left, ignore_errors=True)
        kinds: tuple[Kind, ...] = ("step", "best")
        for kind in kinds:
            for later in self._steps(kind):
                if later > step:
                    _remove(self._place(kind, later))

    def _write(self, place: Path, fill: Callable[[Path], None]) -> None:
        if place.exists():
            _remove(place)
        with disk_full_named(self._folder), published_folder(place) as partial:
            fill(partial)
            manifest = Manifest(self._identity, folder_manifest(partial), best=max(self._steps("best"), default=0))
            (partial / MANIFEST_FILE).write_bytes(msgspec.json.encode(manifest))
        self._drop_old()

    def _drop_old(self) -> None:
        """Keep the newest checkpoints, for each of them the best weights as of its writing, and the best of all."""
        steps, bests = self._steps("step"), self._steps("best")
        needed = {self._best_of(step, bests) for step in steps[: self._keep]} | set(bests[:1])
        for old in steps[self._keep :]:
            _remove(self._place("step", old))
        for old in bests:
            if old not in needed:
                _remove(self._place("best", old))

    def _best_of(self, step: int, bests: Sequence[int]) -> int:
        """Which of the best weights a checkpoint would go back to."""
        try:
            named = _manifest_in(self._place("step", step)).best
        except (OSError, ValueError):
            named = None
        return next((best for best in bests if best <= step), 0) if named is None else named

    def _place(self, kind: Kind, step: int) -> Path:
        return self._folder / f"{kind}-{step:08d}"

    def _steps(self, kind: Kind) -> list[int]:
        """Steps with a folder of this kind, the newest first."""
        if not self._folder.is_dir():
            return []
        names = (_NAME.fullmatch(path.name) for path in self._folder.iterdir())
        return sorted((int(name[2]) for name in names if name and name[1] == kind), reverse=True)

    def _examined(self, place: Path) -> Literal["whole", "broken", "foreign"]:
        try:
            manifest = _manifest_in(place)
            found = folder_manifest(place, leave_out=frozenset({MANIFEST_FILE}))
        except (OSError, ValueError):
            return "broken"
        if found != manifest.files:
            return "broken"
        return "whole" if manifest.identity == self._identity else "foreign"


def _manifest_in(place: Path) -> Manifest:
    """Raises OSError or ValueError where there is none that can be read."""
    return msgspec.json.decode((place / MANIFEST_FILE).read_bytes(), type=Manifest)


def _remove(place: Path) -> None:
    """Under another name first: a removal that is broken off leaves no checkpoint that seems to be damaged."""
    doomed = place.with_name(place.name + PARTIAL)
    shutil.rmtree(doomed, ignore_errors=True)
    place.rename(doomed)
    shutil.rmtree(doomed)
