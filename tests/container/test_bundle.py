"""The true bundle of the true image: tampered with file by file; installed, upgraded and taken back by a real engine, with its data."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from appliance import __version__
from scripts.lockdown.box import LOCKDOWN, docker
from tests.bundle.conftest import Key, make_key

# Two images are saved and loaded, each of more than a gigabyte.
pytestmark = [pytest.mark.docker, pytest.mark.timeout(900)]

ROOT = Path(__file__).resolve().parents[2]
NEWER = "99.0.0"
FIRST, SECOND = f"greenwave:{__version__}-bundle-test", f"greenwave:{NEWER}-bundle-test"
APPLIANCE = "greenwave-bundle-test"

NAMED = r"^docker exec (--user 0 --workdir / |-e GREENWAVE_HOME=/tmp/check )?greenwave | greenwave$"
"""Where a command of the documentation names the appliance."""

NEXT_VERSION = """
from appliance.store import migrations as known
from pathlib import Path
import py_compile
page = Path(known.__file__)
page.write_text(page.read_text("utf-8") + '''

@migrations()
def m999_next(db: Database) -> None:
    db.execute("CREATE TABLE next (x INTEGER) STRICT")
''')
py_compile.compile(str(page), doraise=True, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
"""
"""What makes another version of an image: a migration more."""


class Bundles:
    """Two bundles, the second of a version whose database has another form, and the machine they are installed on."""

    def __init__(self, folder: Path, key: Key, image: str) -> None:
        self.key, self._folder = key, folder
        # Names of our own: removing an appliance takes away the name of its image, and others need this one.
        docker("tag", image, FIRST)
        self.first = self._made(folder / "first", FIRST, __version__)

    @cached_property
    def second(self) -> Path:
        """The bundle of the next version, made when it is asked for."""
        self._next_image(self._folder / "context")
        return self._made(self._folder / "second", SECOND, NEWER)

    def _made(self, output: Path, image: str, version: str) -> Path:
        words = [
            f"--output={output}",
            f"--key={self.key.file}",
            f"--signers={self.key.signers}",
            f"--image={image}",
            f"--version={version}",
        ]
        made = subprocess.run(
            [sys.executable, ROOT / "scripts/bundle", "cpu", "--fast", *words], check=False, capture_output=True, text=True
        )
        assert made.returncode == 0, made.stderr
        return output

    def _next_image(self, context: Path) -> None:
        context.mkdir()
        (context / "next.py").write_text(NEXT_VERSION, "utf-8")
        steps = [f"FROM {FIRST}", "USER 0", "COPY next.py /tmp/next.py", "RUN python3 /tmp/next.py", "USER 10001:10001"]
        (context / "Dockerfile").write_text("\n".join(steps) + "\n", "utf-8")
        environment = {**os.environ, "DOCKER_BUILDKIT": "0"}
        command = ["docker", "build", "--quiet", "--network=none", f"--tag={SECOND}", str(context)]
        subprocess.run(command, check=True, capture_output=True, env=environment)

    def install(self, bundle: Path, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a bundle's installer."""
        options = ["--signers", str(self.key.signers), "--name", APPLIANCE, "--lang", "en", "--memory", "4g", *words]
        command = ["bash", str(bundle / "install.sh"), *options]
        return subprocess.run(command, check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL)


@pytest.fixture(scope="module")
def bundles(image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bundles]:
    """Made once; at the end nothing of them is left in the engine."""
    folder = tmp_path_factory.mktemp("bundles")
    try:
        yield Bundles(folder, make_key(folder / "key"), image)
    finally:
        for suffix in ("", "-previous", "-next", "-leaving", "-newer"):
            docker("rm", "--force", APPLIANCE + suffix, check=False)
        docker("volume", "rm", "--force", APPLIANCE, check=False)
        docker("image", "rm", "--force", FIRST, SECOND, check=False)
        shutil.rmtree(folder, ignore_errors=True)


def greenwave(*words: str) -> Any:
    """What a command of the installed appliance prints."""
    return json.loads(docker("exec", APPLIANCE, "greenwave", *words, "--json").stdout)


def test_the_bundle_says_what_is_inside(bundles: Bundles) -> None:
    """Its bill of materials is valid and has every wheel with its checksum, Debian's packages and llama.cpp; licence texts are there."""
    text = (bundles.first / "sbom.cdx.json").read_text("utf-8")
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    components = {one["name"]: one for one in json.loads(text)["components"]}
    assert {"torch", "transformers", "greenwave", "llama.cpp", "ggml", "python3", "libgomp1"} <= components.keys()
    wheels = [one for one in components.values() if one["purl"].startswith("pkg:pypi/")]
    assert len(wheels) > 50
    assert [one["name"] for one in wheels if not one.get("hashes")] == []
    assert [one["name"] for one in components.values() if not one["licenses"]] == []
    silent = re.findall(r"^- (\S+)", (bundles.first / "licenses/README.md").read_text("utf-8"), re.MULTILINE)
    assert len(silent) <= 8, silent
    assert (bundles.first / "licenses/python" / f"torch-{components['torch']['version']}").is_dir()
    assert (bundles.first / "licenses/debian/libgomp1/copyright").is_file()


def test_one_byte_of_each_file_is_noticed(bundles: Bundles, tmp_path: Path) -> None:
    """Each file in turn is refused by name, by the installer or, for the installer itself, by the commands of the guide."""
    copy = tmp_path / "copy"
    shutil.copytree(bundles.first, copy, copy_function=os.link)
    names = [line.split("  ")[1] for line in (copy / "SHA256SUMS").read_text("utf-8").splitlines()]
    # Of the many texts one stands for all; every other file is tried.
    texts = [name for name in names if name.startswith(("licenses/", "docs/"))]
    tried = [name for name in names if name not in texts] + texts[:1]
    for name in tried:
        tampered = bytearray((copy / name).read_bytes())
        tampered[len(tampered) // 3] ^= 1
        (copy / name).unlink()
        (copy / name).write_bytes(tampered)
        if name == "install.sh":
            command = ["sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS"]
            found = subprocess.run(command, cwd=copy, check=False, capture_output=True, text=True)
            assert (found.returncode, f"{name}: FAILED" in found.stdout) == (1, True)
        else:
            refused = bundles.install(copy, "--check")
            assert (refused.returncode, name in refused.stderr) == (3, True), refused.stderr
        (copy / name).unlink()
        os.link(bundles.first / name, copy / name)


def test_install_upgrade_and_back(bundles: Bundles) -> None:
    """A healthy appliance as locked down as the documentation says; an upgrade migrates its data, the way back has it as it was."""
    done = bundles.install(bundles.first)
    assert done.returncode == 0, done.stderr
    (found,) = json.loads(docker("inspect", APPLIANCE).stdout)
    host = found["HostConfig"]
    told = {
        *(["--read-only"] if host["ReadonlyRootfs"] else []),
        *(f"--cap-drop={name}" for name in host["CapDrop"]),
        *(f"--security-opt={name}" for name in host["SecurityOpt"]),
        f"--network={host['NetworkMode']}",
        f"--pids-limit={host['PidsLimit']}",
        *(f"--tmpfs={place}" for place in host["Tmpfs"]),
        f"--stop-timeout={found['Config']['StopTimeout']}",
    }
    assert (told, found["State"]["Health"]["Status"]) == (set(LOCKDOWN), "healthy")
    docker(
        "exec",
        APPLIANCE,
        "greenwave",
        "datasets",
        "import",
        "/opt/greenwave/lib/python3.11/site-packages/appliance/demo/records.jsonl",
        "--name",
        "rows",
    )
    before = greenwave("datasets", "list")
    assert [one["name"] for one in before] == ["rows"]
    assert bundles.install(bundles.first).returncode == 0

    done = bundles.install(bundles.second, "--upgrade")
    assert done.returncode == 0, done.stderr
    assert greenwave("datasets", "list") == before
    shown = greenwave("database", "show")
    assert shown["database"]["migrations"][-1] == "m999_next"
    assert [Path(one["path"]).name for one in shown["copies"]] == ["greenwave.db.before-m999_next"]

    done = bundles.install(bundles.second, "--rollback")
    assert done.returncode == 0, done.stderr
    assert greenwave("datasets", "list") == before
    shown = greenwave("database", "show")
    assert "m999_next" not in shown["database"]["migrations"]
    assert any(".kept-" in one["path"] for one in shown["copies"])


def test_every_claim_of_the_security_page_can_be_checked(bundles: Bundles) -> None:
    """Each command of docs/security.md, typed on the machine or in the bundle's folder, prints what the page says."""
    page = (ROOT / "docs/security.md").read_text("utf-8")
    (before,) = re.findall(r"```\n((?:ssh-keygen .*\n)(?:.*\n)*?)```", page)
    words = before.replace("~/greenwave.signers", str(bundles.key.signers))
    checked = subprocess.run(["bash", "-ec", words], cwd=bundles.first, check=False, capture_output=True, text=True)
    assert (checked.returncode, checked.stdout[:4]) == (0, "Good"), checked.stderr
    assert bundles.install(bundles.first).returncode == 0
    commands = 0
    for block in re.findall(r"```console\n(.*?)```", page, re.DOTALL):
        for typed, expected in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", block, re.MULTILINE):
            words = re.sub(NAMED, lambda found: found[0].replace("greenwave", APPLIANCE), typed)
            ended = subprocess.run(["bash", "-c", words], check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL)
            assert ended.stdout + ended.stderr == expected.replace(f"greenwave:{__version__}-cpu", FIRST), typed
            commands += 1
    assert commands >= 14


def test_the_guides_backup_holds_everything(bundles: Bundles, tmp_path: Path) -> None:
    """The line that the guide gives writes an archive with the database and the datasets."""
    assert bundles.install(bundles.first).returncode == 0
    (line,) = re.findall(r"`(docker run [^`]* --entrypoint tar [^`]*)`", (ROOT / "docs/installation.md").read_text("utf-8"))
    line = line.replace("--volumes-from greenwave", f"--volumes-from {APPLIANCE}").replace("/backup:/", f"{tmp_path}:/")
    subprocess.run(["bash", "-c", line.replace(f"greenwave:{__version__}-cpu", FIRST)], check=True, capture_output=True)
    listed = subprocess.run(["tar", "-tf", tmp_path / "greenwave.tar"], check=True, capture_output=True, text=True).stdout
    assert "./greenwave.db\n" in listed


def test_removing_leaves_the_data(bundles: Bundles) -> None:
    """No container of it is left; the volume still has the database, and another installation finds it."""
    assert bundles.install(bundles.first).returncode == 0
    before = greenwave("datasets", "list")
    done = bundles.install(bundles.first, "--uninstall")
    assert (done.returncode, APPLIANCE in done.stderr) == (0, True)
    assert APPLIANCE not in docker("ps", "--all", "--format", "{{.Names}}").stdout
    assert bundles.install(bundles.first).returncode == 0
    assert greenwave("datasets", "list") == before
