"""The hash of an image's files: names, kinds, owners, rights, links and contents, and no times."""

from __future__ import annotations

import hashlib
import subprocess
import tarfile
from collections.abc import Iterator
from typing import IO

from scripts.container.engine import docker
from scripts.container.telling import Refused

PUT_THERE_BY_THE_ENGINE = {".dockerenv", "etc/hosts", "etc/hostname", "etc/resolv.conf", "etc/mtab", "dev/console"}
BLOCK = 1 << 20


def tree_hash(tag: str) -> str:
    """64 hexadecimal digits, equal for two images exactly if they hold the same files."""
    whole = hashlib.sha256()
    for line in sorted(entries(tag)):
        whole.update(line.encode() + b"\n")
    return whole.hexdigest()


def entries(tag: str) -> Iterator[str]:
    """A line per file: kind, rights, owner, group, name, and the checksum of its contents or where it points."""
    container = docker(["create", "--network=none", tag], f"There is no image {tag}.", "scripts/image build makes one.").strip()
    try:
        with subprocess.Popen(["docker", "export", container], stdout=subprocess.PIPE) as export:
            assert export.stdout is not None
            yield from lines_of(export.stdout)
        if export.returncode:
            raise Refused(f"The files of {tag} could not be read.", "the engine's own words are above.")
    finally:
        docker(["rm", "--volumes", container], "A container that was never started could not be removed.")


def lines_of(stream: IO[bytes]) -> Iterator[str]:
    """The lines for a tar archive that is read once, from front to back."""
    with tarfile.open(fileobj=stream, mode="r|") as archive:
        for member in archive:
            name = member.name.rstrip("/")
            if name in PUT_THERE_BY_THE_ENGINE:
                continue
            content = member.linkname
            if member.isreg() and (file := archive.extractfile(member)):
                content = checksum(file)
            yield f"{member.type.decode()} {member.mode:o} {member.uid} {member.gid} {name!r} {content}"


def checksum(file: IO[bytes]) -> str:
    """SHA-256 of what is left of a file."""
    sums = hashlib.sha256()
    while block := file.read(BLOCK):
        sums.update(block)
    return sums.hexdigest()
