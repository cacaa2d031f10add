"""Runs inside the image, fed to its Python on standard input: what is installed there, and every licence text, as a tar on standard output.

The tar holds ``inventory.json`` and ``licenses/…``. Only the standard library is used, and nothing but metadata is read: Debian's package
status and copyright files, the ``dist-info`` of Python packages, the checksums of their wheels, and what the llama.cpp inside its wheel
says that it is.
"""

from __future__ import annotations

import ctypes
import io
import json
import platform
import re
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from email.message import Message
from importlib import metadata
from pathlib import Path
from typing import Any, cast

LICENCE_FILE = re.compile(r"(licen[cs]e|copying|copyright|notice|authors|third.?party)", re.IGNORECASE)
NOT_A_TEXT = re.compile(r"\.(py|pyc|pyi|so|json|h|hpp|c|js)$")
DOCUMENTS = Path("/usr/share/doc")
FIELDS = ("Package", "Version", "Architecture", "Homepage")

Texts = dict[str, bytes]


def main() -> int:
    """Write the tar; 0."""
    texts: Texts = {}
    found = {
        "os": dict(_assignments(Path("/etc/os-release").read_text("utf-8"))),
        "machine": platform.machine(),
        "interpreter": platform.python_version(),
        "debian": sorted(debian_packages(texts), key=lambda one: str(one["name"])),
        "python": sorted(python_packages(texts), key=lambda one: str(one["name"])),
        "llama_cpp": llama_cpp(),
        "wheels": dict(wheels(Path(sys.prefix) / "share" / "wheels")),
    }
    for path in sorted(Path("/usr/share/common-licenses").glob("*")):  # the long texts that copyright files refer to
        texts[f"licenses/common/{path.name}"] = _read(path)
    with tarfile.open(fileobj=sys.stdout.buffer, mode="w|") as tar:
        _add(tar, "inventory.json", json.dumps(found, ensure_ascii=False, indent=1, sort_keys=True).encode())
        for name in sorted(texts):
            _add(tar, name, texts[name])
    return 0


def debian_packages(texts: Texts) -> Iterator[dict[str, Any]]:
    """What dpkg has installed. The copyright file of a package names its licences where it follows Debian's machine-readable form."""
    shape = "${db:Status-Abbrev}|" + "|".join(f"${{{field}}}" for field in FIELDS) + "\n"
    for line in subprocess.run(
        ["dpkg-query", "--show", "--showformat", shape], check=True, capture_output=True, text=True
    ).stdout.splitlines():
        status, name, version, architecture, homepage = line.split("|", 4)
        if status.startswith("ii"):
            text = _read(DOCUMENTS / name / "copyright")
            if text:
                texts[f"licenses/debian/{name}/copyright"] = text
            declared = sorted(set(re.findall(r"^License: *(\S.*?)\s*$", text.decode("utf-8", "replace"), re.MULTILINE)))
            yield {
                "name": name,
                "version": version,
                "architecture": architecture,
                "homepage": homepage,
                "licences": declared,
                "text": bool(text),
            }


def python_packages(texts: Texts) -> Iterator[dict[str, Any]]:
    """What pip has installed, each with its licence texts."""
    for found in metadata.distributions():
        about = cast("Message", found.metadata)  # which it is, and says in no other way
        name = re.sub(r"[-_.]+", "-", about["Name"]).lower()
        kept = dict(licence_texts(found, f"licenses/python/{name}-{_plain(found.version)}"))
        texts.update(kept)
        needed = [re.split(r"[ <>=!~;(\[]", line, maxsplit=1)[0] for line in found.requires or () if "extra ==" not in line]
        yield {
            "name": name,
            "version": found.version,
            "expression": about.get("License-Expression", ""),
            "licence": about.get("License", "").strip().split("\n")[0][:80],
            "classifiers": [line.rpartition(" :: ")[2] for line in about.get_all("Classifier", []) if line.startswith("License ::")],
            "homepage": about.get("Home-page", "") or next((line.partition(", ")[2] for line in about.get_all("Project-URL", [])), ""),
            "needs": sorted({re.sub(r"[-_.]+", "-", one).lower() for one in needed}),
            "text": bool(kept),
        }


def licence_texts(found: metadata.Distribution, folder: str) -> Iterator[tuple[str, bytes]]:
    """Every file of a distribution that looks like a licence text, by its place in the bundle."""
    for path in found.files or ():
        if LICENCE_FILE.search(path.name) or "licenses" in path.parts[:-1]:
            there = Path(str(path.locate()))
            if not NOT_A_TEXT.search(path.name.lower()) and not there.is_symlink() and (text := _read(there)):
                parts = [_plain(part) for part in path.parts if not part.endswith(".dist-info") and part not in ("..", "licenses")]
                yield "/".join([folder, *parts]), text


def wheels(folder: Path) -> Iterator[tuple[str, str]]:
    """SHA-256 of every wheel that the image was made of, by ``name==version``: its build leaves pip's requirements there."""
    for path in sorted(folder.glob("*.txt")):
        yield from re.findall(r"^(\S+) --hash=sha256:([0-9a-f]{64})$", path.read_text("utf-8"), re.MULTILINE)


def llama_cpp() -> dict[str, str]:
    """Versions of the llama.cpp and the ggml inside the wheel of llama-cpp-python, as its program and its library tell them."""
    try:
        wheel = metadata.distribution("llama-cpp-python")
    except metadata.PackageNotFoundError:
        return {}
    folder = Path(str(wheel.locate_file("llama_cpp")))
    told = subprocess.run([folder / "bin" / "llama-server", "--version"], check=True, capture_output=True, text=True)
    version = re.search(r"version: (\S+)", told.stdout + told.stderr)
    ggml = next(path for path in sorted(folder.glob("*/libggml-base.so*")))
    tell = ctypes.CDLL(str(ggml)).ggml_version
    tell.restype = ctypes.c_char_p
    return {"wheel": wheel.version, "version": version[1] if version else "", "ggml": tell().decode()}


def _assignments(text: str) -> Iterator[tuple[str, str]]:
    for line in text.splitlines():
        key, sign, value = line.partition("=")
        if sign:
            yield key, value.strip('"')


def _plain(name: str) -> str:
    """A name that any file system and any shell takes."""
    return re.sub(r"[^A-Za-z0-9._+-]", "_", name).lstrip(".") or "_"


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    tar.addfile(entry, io.BytesIO(content))


if __name__ == "__main__":
    sys.exit(main())
