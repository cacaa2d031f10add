"""The base image for places that cannot pull one, and the Debian packages that the appliance needs on top of a base."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from scripts.container.engine import docker, has_image, require_engine
from scripts.container.shelf import hash_of, sha256, shelf
from scripts.container.telling import Refused, call, say

SUITE = "bookworm"
"""Debian 12: the Python 3.11 that the wheels are for, and a C library that no wheel is too new for."""
LEFT_OUT = (
    "var/cache/apt/archives",
    "var/lib/apt/lists",
    "var/log",
    "dev",  # the engine brings its own; BuildKit would turn what is there into plain files
    "var/cache/debconf",
    "usr/share/man",
    "usr/share/locale",
    "tmp",
    "run",
)
"""Folders that are emptied in a base."""
FILES_LEFT_OUT = ("etc/resolv.conf", "etc/hostname", "etc/machine-id", "var/cache/ldconfig/aux-cache", "var/lib/dpkg/status-old")
PACKAGES = ("python3", "libgomp1", "libstdc++6", "tzdata")
"""What the wheels do not bring: an interpreter, the run-time libraries of OpenMP and C++, and the time zones."""
ROOM = 2 << 30


def base_image() -> str:
    """The name of the base image, which is made first where it is not there."""
    require_engine()
    recipe = hash_of({"suite": SUITE, "variant": "minbase", "security": True, "left out": [*LEFT_OUT, *FILES_LEFT_OUT], "form": 1})
    name = f"greenwave-base:{SUITE}-{recipe}"
    if not has_image(name):
        archive = shelf("base", recipe, ROOM, bootstrap) / "rootfs.tar"
        docker(["import", "--change", 'CMD ["/bin/sh"]', archive, name], f"The base image could not be loaded from {archive}.")
    return name


def bootstrap(folder: Path) -> None:
    """Write ``rootfs.tar``: Debian's smallest system with today's security updates, without caches, logs and manuals."""
    if os.geteuid():
        raise Refused("Only root can make a base image.", "run this as root, or name a base that can be pulled: --base debian:12-slim.")
    if not shutil.which("debootstrap", path=f"{os.environ.get('PATH', '')}:/usr/sbin"):
        raise Refused("A base image is made by debootstrap, which is not on this machine.", "sudo apt install debootstrap")
    root = folder / "root"
    say(f"making a base image of Debian {SUITE} (a minute)")
    hint = "a Debian mirror has to be reachable; the reason is in the lines above."
    call(["/usr/sbin/debootstrap", "--variant=minbase", SUITE, root], "The base system could not be fetched.", hint)
    sources = root / "etc/apt/sources.list"
    mirror = sources.read_text("utf-8").split()[1]  # "deb MIRROR SUITE main", as debootstrap leaves it
    lines = [f"deb {mirror} {SUITE} main", f"deb {mirror} {SUITE}-updates main", f"deb {mirror}-security {SUITE}-security main"]
    sources.write_text("\n".join(lines) + "\n", "utf-8")
    for step in ("apt-get update", "apt-get --yes upgrade", "apt-get clean"):
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}
        call(["chroot", root, *step.split()], f"The base system could not be brought up to date ({step}).", hint, environment=environment)
    tidy(root)
    pack(root, folder / "rootfs.tar")
    shutil.rmtree(root)


def tidy(root: Path) -> None:
    """Empty the folders and remove the files that no container needs; licences stay where Debian keeps them."""
    for name in LEFT_OUT:
        for entry in (root / name).iterdir():
            shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()
    for name in FILES_LEFT_OUT:
        (root / name).unlink(missing_ok=True)
    for folder, _, names in os.walk(root / "usr/share/doc"):
        for name in names:
            if name != "copyright":
                Path(folder, name).unlink()


def pack(root: Path, archive: Path) -> None:
    """The tree as a tar file: sorted, with numeric owners and without times."""
    command = [
        "tar",
        "--create",
        "--sort=name",
        "--numeric-owner",
        "--mtime=@0",
        "--one-file-system",
        f"--file={archive}",
        f"--directory={root}",
        ".",
    ]
    call(command, "The base system could not be packed.", "the reason is in the lines above.")


def run_connected(base: str, volume: str, steps: str, problem: str) -> None:
    """Run a shell's ``steps`` in a container of ``base`` that reaches Debian's mirror, as root; Refused with ``problem`` when it fails."""
    command = ["run", "--rm", "--network=host", "--user=0:0", f"--volume={volume}", "--env=DEBIAN_FRONTEND=noninteractive"]
    hint = "a Debian mirror has to be reachable from this machine; apt's own words are above."
    docker([*command, base, "sh", "-ec", steps], problem, hint)


def fetch_packages(base: str, folder: Path) -> None:
    """Put the packages that ``base`` lacks into the folder, chosen and checked by the base's own apt, with ``SHA256SUMS``."""
    say(f"fetching Debian packages for {base}")
    folder.mkdir()
    apt = (
        "apt-get --quiet update && "
        f"apt-get --quiet --yes --no-install-recommends --download-only -o Dir::Cache::archives=/debs install {' '.join(PACKAGES)} && "
        "rm -rf /debs/partial /debs/lock"
    )
    run_connected(base, f"{folder}:/debs", apt, "The Debian packages could not be fetched.")
    sums = [f"{sha256(path)}  {path.name}\n" for path in sorted(folder.glob("*.deb"))]
    (folder / "SHA256SUMS").write_text("".join(sums), "utf-8")
