"""The checksums that the libraries of an image must have: ``wheels-KIND.sha256`` beside this file, as ``sha256sum --check`` reads it.

pip checks what it fetches against what the index says; a mirror that was tampered with says what it likes. llama.cpp is not in the lists:
it is built here, from a source whose checksum ``scripts/wheelhouse`` knows.
"""

from __future__ import annotations

from pathlib import Path

from scripts.container.shelf import sha256
from scripts.container.telling import Refused

BUILT_HERE = "llama-cpp-python"
"""The library that no index has in the form that is wanted."""


def pins_file(kind: str) -> Path:
    """The list for this kind of image."""
    return Path(__file__).with_name(f"wheels-{kind}.sha256")


def require_pinned(pins: Path, *folders: Path) -> None:
    """Raise ``Refused`` with its name for the first wheel of the folders that is not in the list, or is another file than the list's."""
    known = {name: digest for digest, name in (line.split() for line in pins.read_text("utf-8").splitlines())}
    for wheel in _fetched(folders):
        if wheel.name not in known:
            raise Refused(
                f"{wheel.name} is not in {pins.name}.",
                "after a change of constraints.txt, scripts/image pin writes the list anew; look at what has changed in it.",
            )
        if sha256(wheel) != known[wheel.name]:
            raise Refused(
                f"{wheel.name} was fetched, and is not the file that {pins.name} lists.",
                "do not use it: fetch it from another index (PIP_INDEX_URL), and find out why this one differs.",
                3,
            )


def write_pins(pins: Path, *folders: Path) -> None:
    """Make the list say what is in the folders."""
    pins.write_text("".join(f"{sha256(wheel)}  {wheel.name}\n" for wheel in _fetched(folders)), "utf-8")


def _fetched(folders: tuple[Path, ...]) -> list[Path]:
    wheels = [
        wheel for folder in folders for wheel in folder.glob("*.whl") if not wheel.name.startswith(f"{BUILT_HERE.replace('-', '_')}-")
    ]
    return sorted(wheels, key=lambda wheel: wheel.name)
