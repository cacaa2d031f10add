"""The README's line and compose.yaml start the appliance as they stand, but for names: with a named volume, media, and nobody's help."""

from __future__ import annotations

import os
import shlex
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from scripts.container.telling import Refused
from scripts.lockdown.box import docker
from scripts.lockdown.compose import compose_command
from tests.container.test_written_settings import ROOT, run_lines

pytestmark = [pytest.mark.docker, pytest.mark.timeout(600)]

MEMORY = "6g"


@pytest.fixture
def name() -> Iterator[str]:
    """Of a container and its volume, which are removed at the end."""
    name = f"greenwave-{os.getpid()}-{time.monotonic_ns()}"
    yield name
    docker("rm", "--force", name, check=False)
    docker("volume", "rm", "--force", name, check=False)


@pytest.fixture
def media(tmp_path: Path) -> Iterator[Path]:
    """Where media are put in, shared as systemd has it."""
    if os.geteuid():
        pytest.fail("This test mounts a medium, which only root may: run it as root.", pytrace=False)
    folder = tmp_path / "media"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=0755", "media", folder], check=True)
    subprocess.run(["mount", "--make-shared", folder], check=True)
    yield folder
    subprocess.run(["umount", "--recursive", folder], check=True)


def assert_at_work(name: str, media: Path) -> None:
    """The appliance answers, keeps its data on the volume, sees a medium that comes later, and leaves with 0 when stopped."""
    deadline = time.monotonic() + 60
    while docker("exec", name, "greenwave", "runs", "list", check=False).returncode:
        assert time.monotonic() < deadline, docker("logs", name).stderr
        time.sleep(0.2)
    stick = media / "stick"
    stick.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=0755", "stick", stick], check=True)
    (stick / "rows.jsonl").write_text('{"instruction": "问", "output": "答"}\n', "utf-8")
    docker("exec", name, "greenwave", "datasets", "import", "/media/stick/rows.jsonl", "--name", "rows")
    assert docker("exec", name, "touch", "/media/stick/x", check=False).returncode
    assert docker("exec", name, "touch", "/x", check=False).returncode
    docker("stop", name)
    assert docker("inspect", "--format", "{{.State.ExitCode}}", name).stdout.strip() == "0"
    docker("start", name)
    assert "rows" in docker("exec", name, "greenwave", "datasets", "list").stdout
    docker("stop", name)


def test_the_line_of_the_readme_starts_the_appliance(image: str, name: str, media: Path) -> None:
    """Its first docker run, with another name, volume, folder of media, image, and less memory."""
    (line,) = [one for one in run_lines("README.md") if "--gpus" not in one]
    ours = {
        "--name=greenwave": f"--name={name}",
        "greenwave:/data": f"{name}:/data",
        "/media:/media:ro,rslave": f"{media}:/media:ro,rslave",
        "--memory=16g": f"--memory={MEMORY}",
        "--memory-swap=16g": f"--memory-swap={MEMORY}",
    }
    words = shlex.split(line)
    assert words[-1] == "greenwave"
    assert set(ours) <= set(words), line
    docker(*[ours.get(word, word) for word in words[1:-1]], image)
    assert_at_work(name, media)


def test_compose_starts_the_appliance(image: str, name: str, media: Path, tmp_path: Path) -> None:
    """``docker compose up -d`` with the same changes, by a second file and the variables that compose.yaml offers; down keeps the data."""
    try:
        compose = compose_command()
    except Refused as refusal:
        pytest.fail(f"{refusal.message}\nHint: {refusal.hint}", pytrace=False)
    other = tmp_path / "other.yaml"
    other.write_text(yaml.safe_dump({"services": {"greenwave": {"container_name": name}}, "volumes": {"data": {"name": name}}}), "utf-8")
    files = ["--project-name", name, "--file", str(ROOT / "compose.yaml"), "--file", str(other)]
    chosen = {**os.environ, "GREENWAVE_IMAGE": image, "GREENWAVE_MEDIA": str(media), "GREENWAVE_MEMORY": MEMORY}

    def run(*words: str) -> None:
        done = subprocess.run([*compose, *files, *words], env=chosen, capture_output=True, text=True, check=False)
        assert not done.returncode, done.stderr

    run("up", "--detach")
    try:
        assert_at_work(name, media)
    finally:
        run("down")
    assert docker("volume", "inspect", name).stdout
    both = subprocess.run(
        [*compose, *files, "--file", str(ROOT / "compose.gpu.yaml"), "config"], env=chosen, capture_output=True, text=True, check=False
    )
    devices = yaml.safe_load(both.stdout)["services"]["greenwave"]["deploy"]["resources"]["reservations"]["devices"]
    assert [device["driver"] for device in devices] == ["nvidia"]
