"""The folder that holds everything an image is made of: a complete build context, gathered on a connected machine.

    Dockerfile  build/            how the image is built
    kind  version                 cpu or cuda; the version of Greenwave
    wheels/*.whl  requirements.txt  the libraries, each with its checksum
    debs/*.deb  debs/SHA256SUMS   the Debian packages that the base lacks
    greenwave/                    Greenwave's own wheel, with its checksum
    tools/                        the pip that installs them in the build stage
    SHA256SUMS                    of all these

``docker build --network=none FOLDER`` is all that is left to do, on any machine.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from functools import cache
from pathlib import Path

from scripts.container import debian
from scripts.container.engine import docker, has_image
from scripts.container.pins import BUILT_HERE, pins_file, require_pinned, write_pins
from scripts.container.shelf import hash_of, hash_of_files, sha256, shelf, shelf_room
from scripts.container.telling import HOUSE, Refused, call, say

CONSTRAINTS = HOUSE / "constraints.txt"
PYTHON = "3.11"
"""The Python of the image's Debian, which need not be the one that gathers."""
PLATFORMS = (
    "linux_x86_64",
    "manylinux1_x86_64",
    "manylinux2010_x86_64",
    "manylinux2014_x86_64",
    *(f"manylinux_2_{minor}_x86_64" for minor in range(5, 37)),
)
"""Wheels that the C library of Debian 12 (2.36) can carry."""
FORM = 2
"""Counted up when the way in which libraries are gathered changes what is gathered."""
HAS_PIP = "import pip; assert tuple(map(int, pip.__version__.split('.')[:2])) >= (25, 3)"
"""What a Python that gathers wheels can run: --build-constraint came with 25.3."""
CPU_BUILDS = "https://download.pytorch.org/whl/cpu"
BUILDING = HOUSE / "images"
"""What the image is built with, beside the Dockerfile."""
ROOM = {"cpu": 2 << 30, "cuda": 12 << 30}


def wheelhouse(kind: str, base: str) -> Path:
    """The complete folder for this kind of image on this base, gathered first where it is not there."""
    libraries = shelf("libraries", hash_of(libraries_recipe(kind)), ROOM[kind], lambda folder: pinned_libraries(kind, folder))
    packages = shelf(
        "debs", hash_of([debian.PACKAGES, identity(base)]), 1 << 30, lambda folder: debian.fetch_packages(base, folder / "debs")
    )
    own = [HOUSE / "pyproject.toml", *sources()]
    name = hash_of([libraries.name, packages.name, [(str(path.relative_to(HOUSE)), sha256(path)) for path in own]])

    def assemble(folder: Path) -> None:
        for part in (libraries, packages):
            shutil.copytree(part, folder, copy_function=os.link, dirs_exist_ok=True)
        shutil.copy(HOUSE / "Dockerfile", folder)
        shutil.copytree(BUILDING, folder / "build")
        build_own_wheel(folder / "greenwave")
        (folder / "kind").write_text(f"{kind}\n", "utf-8")
        (folder / "version").write_text(f"{version()}\n", "utf-8")
        write_sums(folder)

    return shelf("wheels", name, 1 << 28, assemble)


def version() -> str:
    """Greenwave's own."""
    found = re.search(r'^__version__ = "(.+)"$', (HOUSE / "appliance/__init__.py").read_text("utf-8"), re.MULTILINE)
    assert found
    return found[1]


def identity(base: str) -> str:
    """What a base is: the engine's own hash of it; it is fetched where the engine does not have it."""
    if not has_image(base):
        docker(["pull", base], f"The base {base} is not here and could not be fetched.", "leave out --base: scripts/image base makes one.")
    return docker(["image", "inspect", "--format={{.Id}}", base], f"{base} is no image.").strip()


def sources() -> list[Path]:
    """The files that end up in Greenwave's own wheel or build the image, in a fixed order."""
    listed = call(
        ["git", "-C", HOUSE, "ls-files", "--cached", "--others", "--exclude-standard", "-z", "appliance", "tui", "images", "Dockerfile"],
        "The sources of Greenwave could not be listed.",
        "images are made from a clone of the repository, by git.",
    )
    files = {HOUSE / name for name in listed.split("\0") if name} | {HOUSE / name for name in ("LICENSE", "THIRD-PARTY-NOTICES.md")}
    return sorted(path for path in files if path.is_file())


# ── libraries ────────────────────────────────────────────────────────────────────────────────────────────────────────────────────
def requirements() -> list[str]:
    """What pyproject.toml says the appliance needs, without what is built here."""
    named = tomllib.loads((HOUSE / "pyproject.toml").read_text("utf-8"))["project"]["dependencies"]
    return sorted(name for name in named if not name.startswith(BUILT_HERE))


def pinned(name: str) -> str:
    """The line ``name==version`` of the constraints."""
    return next(line for line in CONSTRAINTS.read_text("utf-8").splitlines() if line.startswith(f"{name}=="))


def libraries_recipe(kind: str) -> object:
    """Everything that decides which libraries are gathered."""
    lines = [line for line in CONSTRAINTS.read_text("utf-8").splitlines() if "==" in line]
    return [
        FORM,
        kind,
        PYTHON,
        requirements(),
        sorted(lines),
        hash_of_files(HOUSE / "scripts/wheelhouse", pins_file(kind), *sorted((HOUSE / "scripts/llama_cpp").iterdir())),
    ]


def pinned_libraries(kind: str, folder: Path) -> None:
    """Fill the folder, and raise ``Refused`` for a wheel that is not the one whose checksum is known."""
    gather_libraries(kind, folder)
    require_pinned(pins_file(kind), folder / "wheels", folder / "tools")


def pin(kind: str) -> Path:
    """Fetch everything anew and write down its checksums; gives the list."""
    with tempfile.TemporaryDirectory(dir=shelf_room()) as place:
        gather_libraries(kind, Path(place))
        write_pins(pins_file(kind), Path(place) / "wheels", Path(place) / "tools")
    return pins_file(kind)


def gather_libraries(kind: str, folder: Path) -> None:
    """Fill ``wheels`` and ``tools`` and write ``requirements.txt`` with the checksum of every wheel."""
    wheels = folder / "wheels"
    wheels.mkdir()
    say(f"gathering the libraries of the {kind} image")
    built = call(
        [python_with_pip(), HOUSE / "scripts/wheelhouse", kind], "llama.cpp could not be built.", "the reason is in the lines above."
    )
    shutil.copy(built.strip(), wheels)
    fetch_torch(kind, wheels)
    # Both are there already; named as what they are, they bring what they need, and pip takes no other build of them.
    wishes = [wheel_requirement(wheel).replace("==", "===") for wheel in sorted(wheels.glob("*.whl"))]
    download(wheels, [*wishes, *(name for name in requirements() if not name.startswith("torch"))], f"--find-links={wheels}")
    for useless in [*wheels.glob("setuptools-*.whl"), *wheels.glob("pip-*.whl")]:
        useless.unlink()
    write_requirements(folder / "requirements.txt", wheels)
    (folder / "tools").mkdir()
    download(folder / "tools", [pinned("pip")], "--no-deps")


def fetch_torch(kind: str, wheels: Path) -> None:
    """The build of torch for this kind of image: PyPI's own carries CUDA, the one for processors lies elsewhere.

    ``==2.13.0`` would take 2.13.0+cpu, too, and prefer it where one is at hand; ``===2.13.0`` does not.
    """
    wish = pinned("torch")
    if kind == "cuda":
        download(wheels, [wish.replace("==", "===")], "--no-deps")
        return
    try:
        download(wheels, [f"{wish}+cpu"], "--no-deps")
    except Refused:
        download(wheels, [f"{wish}+cpu"], "--no-deps", f"--index-url={CPU_BUILDS}")


def download(folder: Path, wishes: list[str], *options: str) -> None:
    """Let pip fetch wheels for the image's Python, at the versions of the constraints."""
    target = [f"--python-version={PYTHON}", "--implementation=cp", f"--abi=cp{PYTHON.replace('.', '')}", "--abi=abi3", "--abi=none"]
    target += [f"--platform={name}" for name in PLATFORMS]
    command = [python_with_pip(), "-m", "pip", "download", "--disable-pip-version-check", "--no-input", "--quiet", "--only-binary=:all:"]
    command += [*target, f"--constraint={constraints_for(folder)}", f"--dest={folder}", *options, *wishes]
    call(
        command,
        f"These could not be fetched: {' '.join(wishes)[:200]}",
        "PyPI or a mirror has to be reachable, or name a folder of wheels in PIP_FIND_LINKS; pip's own words are above.",
    )


def constraints_for(folder: Path) -> Path:
    """The constraints without torch, whose build is named by the wish itself."""
    lines = CONSTRAINTS.read_text("utf-8").splitlines(keepends=True)
    path = folder.parent / "constraints.txt"
    path.write_text("".join(line for line in lines if not line.startswith("torch==")), "utf-8")
    return path


@cache
def python_with_pip() -> str:
    """A Python whose pip is new enough: that of scripts/setup, or this one."""
    for python in (str(HOUSE / ".venv/bin/python"), sys.executable):
        if Path(python).is_file() and not subprocess.run([python, "-c", HAS_PIP], capture_output=True, check=False).returncode:
            return python
    raise Refused("Wheels are gathered by pip 25.3 or newer, which this Python does not have.", "run scripts/setup first.")


def wheel_requirement(wheel: Path) -> str:
    """``name==version`` of a wheel, from its file name (PEP 427)."""
    name, release = wheel.name.split("-")[:2]
    return f"{name.replace('_', '-').lower()}=={release}"


def write_requirements(path: Path, wheels: Path) -> None:
    """Every wheel of the folder with its version and checksum, for ``pip install --require-hashes``."""
    lines = [f"{wheel_requirement(wheel)} --hash=sha256:{sha256(wheel)}\n" for wheel in sorted(wheels.glob("*.whl"))]
    path.write_text("".join(lines), "utf-8")


# ── Greenwave's own wheel and the whole ──────────────────────────────────────────────────────────────────────────────────────────
def build_own_wheel(folder: Path) -> None:
    """Build the wheel of this checkout, always the same bytes for the same files."""
    folder.mkdir()
    environment = {**os.environ, "SOURCE_DATE_EPOCH": "315532800"}  # 1980-01-01, the first day that a zip file knows
    command = [
        python_with_pip(),
        "-m",
        "pip",
        "wheel",
        "--disable-pip-version-check",
        "--no-input",
        "--quiet",
        "--no-deps",
        "--no-cache-dir",
    ]
    command += [f"--build-constraint={CONSTRAINTS}", f"--wheel-dir={folder}", str(HOUSE)]
    call(command, "Greenwave's own wheel could not be built.", "the reason is in the lines above.", environment=environment)
    write_requirements(folder / "requirements.txt", folder)


def write_sums(folder: Path) -> None:
    """``SHA256SUMS`` of every file of the folder, as ``sha256sum --check`` reads it."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    (folder / "SHA256SUMS").write_text("".join(f"{sha256(path)}  {path.relative_to(folder)}\n" for path in files), "utf-8")
