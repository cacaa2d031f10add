"""The folder for the medium: everything in its place, ``SHA256SUMS`` over all of it, and the signature over that."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scripts.bundling.sbom import licence_of
from scripts.container.shelf import sha256
from scripts.container.telling import HOUSE, Refused

NAMESPACE = "greenwave"
"""What a signature was made for, and the name of the signer in the list of those who may sign."""
INSTALLER = HOUSE / "scripts" / "bundling" / "installer"
SAFE_NAME = re.compile(r"(?:[A-Za-z0-9_+-][A-Za-z0-9._+-]*/)*[A-Za-z0-9_+-][A-Za-z0-9._+-]*")
"""Names that the installer accepts; every file system and shell takes them."""


def add_installer(folder: Path, facts: Mapping[str, str]) -> None:
    """The installer, its settings, the guides and the documentation."""
    shutil.copytree(INSTALLER, folder, dirs_exist_ok=True)
    (folder / "bundle.conf").write_text("".join(f"{key}={value}\n" for key, value in facts.items()), "utf-8")
    for name in ("compose.yaml", "compose.gpu.yaml"):
        shutil.copyfile(HOUSE / name, folder / name)
    (folder / "docs").mkdir()
    for page in sorted((HOUSE / "docs").glob("*.md")):
        shutil.copyfile(page, folder / "docs" / page.name)
    for guide, name in (("installation.md", "INSTALL.md"), ("installation.zh-CN.md", "INSTALL.zh-CN.md")):
        text = (HOUSE / "docs" / guide).read_text("utf-8")
        (folder / name).write_text(re.sub(r"\]\((?=[a-z0-9.-]+\.md)", "](docs/", text, flags=re.IGNORECASE), "utf-8")


def add_licences(folder: Path, inventory: Mapping[str, Any], known: Mapping[str, str]) -> None:
    """Our own licence beside those that the inventory has brought, and a page that says whose text is where."""
    own = folder / "licenses" / "greenwave"
    own.mkdir(parents=True, exist_ok=True)
    for name in ("LICENSE", "THIRD-PARTY-NOTICES.md"):
        shutil.copyfile(HOUSE / name, own / name)
    silent = [f"- {one['name']} {one['version']}: {licence_of(one, known)}\n" for one in inventory["python"] if not one["text"]]
    silent += [f"- {one['name']} {one['version']} (Debian)\n" for one in inventory["debian"] if not one["text"]]
    page = (
        "# Licences\n\n`python/` and `debian/` hold what each package says itself, `common/` the long texts that Debian's files refer to.\n"
    )
    if silent:
        page += "\nThese packages bring no text of their own:\n\n" + "".join(silent)
    (folder / "licenses" / "README.md").write_text(page, "utf-8")


def add_bill(folder: Path, bill: Mapping[str, Any]) -> None:
    """The software bill of materials."""
    (folder / "sbom.cdx.json").write_text(json.dumps(bill, ensure_ascii=False, indent=1) + "\n", "utf-8")


def seal(folder: Path, key: Path) -> None:
    """Write ``SHA256SUMS`` over every file and sign it. Refused for a name that could not be verified everywhere."""
    files = sorted(path for path in folder.rglob("*") if not path.is_dir())
    names = [str(path.relative_to(folder)) for path in files]
    for name in names:
        if not SAFE_NAME.fullmatch(name):
            raise Refused(f"The file name {name!r} is not fit for every system.", "rename the file.")
    if len({name.lower() for name in names}) < len(names):
        raise Refused("Two file names differ in capital letters alone, which a FAT medium cannot keep apart.", "rename one of them.")
    (folder / "SHA256SUMS").write_text("".join(f"{sha256(path)}  {name}\n" for path, name in zip(files, names, strict=True)), "utf-8")
    signing = ["ssh-keygen", "-q", "-Y", "sign", "-f", str(key), "-n", NAMESPACE, str(folder / "SHA256SUMS")]
    # Not through a pipe: a key may have a passphrase, which ssh-keygen asks for.
    if subprocess.run(signing, check=False).returncode:
        raise Refused(f"Signing with {key} failed.", "ssh-keygen's words are above; a key is made with: ssh-keygen -t ed25519 -f FILE")


def signers_line(key: Path) -> str:
    """The line by which ``ssh-keygen -Y verify`` knows the key, for this purpose only."""
    public = key.with_name(f"{key.name}.pub")
    if public.is_file():
        words = public.read_text("utf-8")
    else:
        asked = subprocess.run(["ssh-keygen", "-y", "-f", str(key)], check=False, stdout=subprocess.PIPE, text=True)
        if asked.returncode:
            raise Refused(f"{key} is no key that ssh-keygen can read.", "a key is made with: ssh-keygen -t ed25519 -f FILE")
        words = asked.stdout
    kind, body = words.split()[:2]
    return f'{NAMESPACE} namespaces="{NAMESPACE}" {kind} {body}\n'
