"""What a bundle takes from the engine: the image as compressed parts, facts about it, and the inventory of what is inside."""

from __future__ import annotations

import json
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from scripts.bundling import inventory
from scripts.container.engine import docker
from scripts.container.telling import Refused, say

PART_BYTES = 2000 << 20
"""A FAT32 medium takes no file of 4 GiB."""
ARCHIVE = "image.tar.gz"
_CHUNK = 4 << 20


@dataclass(frozen=True)
class Image:
    """An image that the engine has."""

    name: str
    id: str
    created: str
    """ISO 8601, to the second, UTC."""
    size: int
    """Bytes, unpacked."""
    user: str


def look_up(name: str) -> Image:
    """Facts about an image."""
    told = docker(["image", "inspect", name], f"There is no image {name}.", "make it with scripts/image build.")
    (about,) = json.loads(told)
    created = str(about["Created"])[:19] + "Z"
    return Image(name, about["Id"], created, about["Size"], about["Config"].get("User") or "0")


def unpack_inventory(name: str, folder: Path) -> dict[str, Any]:
    """Ask the image's own Python what is installed; licence texts go below ``folder``. Gives the inventory."""
    say(f"asking {name} what is in it")
    program = Path(inventory.__file__).read_bytes()
    command = [
        "docker",
        "run",
        "--rm",
        "--interactive",
        "--network=none",
        "--read-only",
        "--cap-drop=ALL",
        "--security-opt=no-new-privileges",
    ]
    with subprocess.Popen([*command, "--entrypoint=python3", name, "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as asked:
        assert asked.stdin is not None and asked.stdout is not None
        asked.stdin.write(program)
        asked.stdin.close()
        found = _unpacked(asked.stdout, folder)
    if asked.returncode or found is None:
        raise Refused(f"{name} could not be asked what is in it.", "python3 inside it failed; its words are above.")
    return found


def _unpacked(stream: IO[bytes], folder: Path) -> dict[str, Any] | None:
    found: dict[str, Any] | None = None
    try:
        with tarfile.open(fileobj=stream, mode="r|") as tar:
            for entry in tar:
                content = tar.extractfile(entry)
                if content is None:
                    continue
                if entry.name == "inventory.json":
                    found = json.loads(content.read())
                elif entry.name.startswith("licenses/") and ".." not in entry.name.split("/"):
                    place = folder / entry.name
                    place.parent.mkdir(parents=True, exist_ok=True)
                    place.write_bytes(content.read())
    except tarfile.ReadError:
        return None
    return found


def save(name: str, folder: Path, *, fast: bool = False) -> list[str]:
    """Write the image as ``image.tar.gz.00``, ``.01`` …, which ``cat image.tar.gz.* | docker load`` reads; gives the names.

    ``fast`` compresses less.
    """
    say(f"saving and compressing {name} (a minute per gigabyte)")
    with (
        subprocess.Popen(["docker", "save", name], stdout=subprocess.PIPE) as saving,
        # Without name and time, so that the same image gives the same file.
        subprocess.Popen(["gzip", "--no-name", "-1" if fast else "-6"], stdin=saving.stdout, stdout=subprocess.PIPE) as packing,
    ):
        assert saving.stdout is not None and packing.stdout is not None
        saving.stdout.close()  # gzip's alone, so that docker notices when gzip ends
        names = _split(packing.stdout, folder)
    if saving.returncode or packing.returncode:
        raise Refused(f"{name} could not be saved.", "the words of docker or gzip are above; is there room?")
    return names


def _split(stream: IO[bytes], folder: Path) -> list[str]:
    names: list[str] = []
    chunk = stream.read(_CHUNK)
    while chunk:
        names.append(f"{ARCHIVE}.{len(names):02d}")
        written = 0
        with (folder / names[-1]).open("xb") as part:
            while chunk and written < PART_BYTES:
                part.write(chunk)
                written += len(chunk)
                chunk = stream.read(_CHUNK)
    return names
