"""What exactly is installed here: versions, one checksum for the program, and whether libraries' files are as they were installed."""

from __future__ import annotations

import base64
import hashlib
import os
import platform
import subprocess
import sys
from collections.abc import Iterator, Sequence
from importlib.metadata import Distribution, PackageNotFoundError, distributions, version
from pathlib import Path

import msgspec

from appliance import __version__
from appliance.domain.errors import ApplianceError
from appliance.files.checksum import file_sha256, manifest_sha256
from appliance.inference.server import find_llama_server
from appliance.store.database import sqlite_version

IMAGE_VARIABLE = "GREENWAVE_IMAGE"
"""What the image says it is; set when it is built."""

SHOWN_LIBRARIES = (
    "torch", "transformers", "peft", "accelerate", "bitsandbytes", "tokenizers", "safetensors", "numpy", "numba", "llama-cpp-python",
    "textual", "sqlite-utils",
)  # fmt: skip

PROGRAM_PACKAGES = ("appliance", "tui")


class FileCheck(msgspec.Struct, frozen=True, kw_only=True):
    """Files of installed libraries against the checksums that came with them (``RECORD``, PEP 376 and 427)."""

    libraries: int
    files: int
    """Whose checksum was compared."""
    size: int
    """Bytes of them."""
    altered: tuple[str, ...]
    missing: int
    """Files that are not there, such as those an image leaves out to be small."""


def versions() -> dict[str, str]:
    """Program, libraries, llama.cpp, SQLite, Python, kernel and system."""
    found = {"greenwave": __version__}
    if image := os.environ.get(IMAGE_VARIABLE):
        found["image"] = image
    for name in SHOWN_LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "-"
    found |= {"llama.cpp": _llama_version(), "SQLite": sqlite_version(), "Python": platform.python_version()}
    return found | {"Linux": platform.release(), "system": _system(), "machine": platform.machine()}


def program_checksums() -> dict[str, str]:
    """SHA-256 of the program's own files as one (of their sorted ``sha256sum`` lines), and of the programs that it starts."""
    root = Path(__file__).parents[2]
    files = sorted(path for package in PROGRAM_PACKAGES for path in (root / package).rglob("*") if path.is_file())
    manifest = {path.relative_to(root).as_posix(): file_sha256(path) for path in files if "__pycache__" not in path.parts}
    found = {f"greenwave ({len(manifest)})": manifest_sha256(manifest)}
    try:
        server = find_llama_server()
        found["llama-server"] = file_sha256(server)
        for library in sorted(server.parents[1].glob("*/libllama.so*")):
            found[library.name] = file_sha256(library)
    except ApplianceError:
        pass  # the check of llama.cpp says so
    return found | {"python": file_sha256(Path(sys.executable).resolve())}


def check_files(folders: Sequence[str] | None = None) -> FileCheck:
    """Compare every file of every installed library with its record; reads all of them, some seconds for a gigabyte.

    ``folders`` are those that libraries are installed in; None takes those of this Python.
    """
    libraries = files = size = missing = 0
    altered: list[str] = []
    for library in distributions(path=list(sys.path if folders is None else folders)):
        libraries += 1
        for path, name, wanted in _recorded(library):
            try:
                with path.open("rb") as file:
                    digest = hashlib.file_digest(file, "sha256").digest()
                    size += os.fstat(file.fileno()).st_size
            except OSError:
                missing += 1
                continue
            files += 1
            if base64.urlsafe_b64encode(digest).rstrip(b"=").decode() != wanted:
                altered.append(name)
    return FileCheck(libraries=libraries, files=files, size=size, altered=tuple(altered), missing=missing)


def _recorded(library: Distribution) -> Iterator[tuple[Path, str, str]]:
    for file in library.files or ():
        if file.hash is not None and file.hash.mode == "sha256":
            yield Path(str(file.locate())), str(file), file.hash.value


def _llama_version() -> str:
    try:
        told = subprocess.run([str(find_llama_server()), "--version"], capture_output=True, text=True, timeout=30, check=True)
    except (ApplianceError, subprocess.SubprocessError, OSError):
        return "-"
    lines = (told.stdout + told.stderr).splitlines()
    return next((line for line in lines if line.startswith("version")), "-").removeprefix("version: ")


def _system() -> str:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", "-")
    except OSError:
        return "-"
