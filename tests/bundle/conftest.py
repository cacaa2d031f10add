"""Small bundles, signed like real ones, and a recorded ``docker`` that shows in which order the installer acts."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from scripts.bundling.folder import INSTALLER, seal, signers_line

BundleMaker = Callable[..., Path]


@dataclass(frozen=True)
class Key:
    """A key for signing, and the list that vouches for it."""

    file: Path
    signers: Path
    fingerprint: str


def make_key(folder: Path) -> Key:
    """A fresh key of its own."""
    folder.mkdir()
    file = folder / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "tests", "-f", file], check=True)
    signers = folder / "signers"
    signers.write_text(signers_line(file), "utf-8")
    shown = subprocess.run(["ssh-keygen", "-l", "-f", file], check=True, capture_output=True, text=True)
    return Key(file, signers, shown.stdout.split()[1])


@pytest.fixture(scope="session")
def key(tmp_path_factory: pytest.TempPathFactory) -> Key:
    """The key that counts."""
    return make_key(tmp_path_factory.mktemp("keys") / "key")


@pytest.fixture
def make_bundle(tmp_path: Path, key: Key) -> BundleMaker:
    """``make_bundle("0.1.0")`` gives a small signed bundle of that version."""

    def make(version: str, variant: str = "cpu") -> Path:
        folder = tmp_path / f"greenwave-{version}-{variant}"
        shutil.copytree(INSTALLER, folder)
        image = f"greenwave:{version}-{variant}"
        settings = {"VERSION": version, "VARIANT": variant, "IMAGE": image, "IMAGE_MB": "1", "IMAGE_USER": "10001:10001", "DRIVER": "580"}
        (folder / "bundle.conf").write_text("".join(f"{name}={value}\n" for name, value in settings.items()), "utf-8")
        (folder / "image.tar.gz.00").write_text(image[:10], "utf-8")
        (folder / "image.tar.gz.01").write_text(image[10:], "utf-8")
        (folder / "licenses" / "python").mkdir(parents=True)
        (folder / "licenses" / "python" / "LICENSE").write_text("as is\n", "utf-8")
        seal(folder, key.file)
        return folder

    return make


@dataclass
class Machine:
    """A machine with a recorded engine."""

    folder: Path
    key: Key

    def install(self, bundle: Path, *arguments: object, kill: str = "", signed: bool = True, **environment: str) -> tuple[int, str]:
        """Run the bundle's installer; exit status and what it said."""
        words = [*map(str, arguments), *(["--signers", str(self.key.signers)] if signed else [])]
        surroundings = {
            "PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}",
            "TMPDIR": str(self.folder / "tmp"),
            "GREENWAVE_LOCKS": str(self.folder),
            "FAKE_DOCKER": str(self.folder),
            "FAKE_DOCKER_KILL": kill,
            "GREENWAVE_DRIVER_FILE": str(self.folder / "driver"),
            "LANG": "C.UTF-8",
            **environment,
        }
        command = ["bash", str(bundle / "install.sh"), *words]
        ended = subprocess.run(command, env=surroundings, check=False, capture_output=True, start_new_session=True, timeout=60)
        return ended.returncode, (ended.stdout + ended.stderr).decode()

    @property
    def state(self) -> dict[str, Any]:
        """What the engine knows."""
        found: dict[str, Any] = json.loads((self.folder / "state.json").read_text("utf-8"))
        return found

    def set(self, **changes: object) -> None:
        """Change what the engine knows."""
        (self.folder / "state.json").write_text(json.dumps({**self.state, **changes}), "utf-8")

    @property
    def containers(self) -> dict[str, tuple[str, str]]:
        """State and image of every container."""
        return {name: (one["status"], one["image"]) for name, one in self.state["containers"].items()}

    @property
    def calls(self) -> list[str]:
        """Every call that changed something."""
        log = self.folder / "calls"
        return log.read_text("utf-8").splitlines() if log.exists() else []

    def forget_calls(self) -> None:
        """Begin to count anew."""
        (self.folder / "calls").unlink(missing_ok=True)


@pytest.fixture
def machine(tmp_path: Path, key: Key) -> Machine:
    """A machine on which nothing is installed."""
    folder = tmp_path / "machine"
    for name in ("bin", "tmp"):
        (folder / name).mkdir(parents=True)
    program = folder / "bin" / "docker"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -S -E {Path(__file__).with_name("fake_docker.py")} "$@"\n', "utf-8")
    program.chmod(0o755)
    empty = {"images": [], "volumes": [], "containers": {}, "bad": [], "schema": 0}
    (folder / "state.json").write_text(json.dumps(empty), "utf-8")
    return Machine(folder, key)
