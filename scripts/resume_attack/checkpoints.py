"""Checkpoints as somebody sees them who does not know the code that writes them: names, files, checksums."""

from __future__ import annotations

import hashlib
import json
import random
import re
from pathlib import Path

FILES = ("adapter_model.safetensors", "optimizer.pt", "history.json", "manifest.json")
"""Of a checkpoint, in the order of writing."""
_NAME = re.compile(r"(step|best)-(\d{8,})(\.partial)?")


def checkpoints_in(folder: Path) -> tuple[dict[str, list[int]], list[tuple[str, int, Path]]]:
    """Steps of published checkpoints by kind, the newest first, and all folders that have another name for the time being."""
    published: dict[str, list[int]] = {"step": [], "best": []}
    passing: list[tuple[str, int, Path]] = []
    for place in folder.iterdir() if folder.is_dir() else ():
        if match := _NAME.fullmatch(place.name):
            if match[3]:
                passing.append((match[1], int(match[2]), place))
            else:
                published[match[1]].append(int(match[2]))
    return {kind: sorted(steps, reverse=True) for kind, steps in published.items()}, passing


def being_written(folder: Path, broken: set[int]) -> tuple[str, int, Path] | None:
    """The checkpoint that is being written, if one is: newer than all of its kind.

    One that is being removed is newer only if it was broken, so what was known as ``broken`` does not count.
    """
    published, passing = checkpoints_in(folder)
    newer = (found for found in passing if found[1] > max(published[found[0]], default=0))
    return next((found for found in newer if found[1] not in broken), None)


def is_whole(place: Path) -> bool:
    """Whether a checkpoint is what its manifest says, by our own reckoning."""
    try:
        expected = json.loads((place / "manifest.json").read_bytes())["files"]
    except (OSError, ValueError):
        return False
    there = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in place.iterdir() if path.name != "manifest.json"}
    return bool(there == expected)


def damage(path: Path, chance: random.Random) -> None:
    """Change one bit of a file."""
    content = bytearray(path.read_bytes())
    content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    path.write_bytes(content)
