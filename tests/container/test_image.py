"""The image: as small as promised, the same from the same, complete, silent by its settings, and for any processor."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from appliance.running.offline import OFFLINE_SWITCHES
from scripts.container import building, debian, tree, wheelhouse
from tests.container.conftest import Contained
from tests.inference.test_instruction_sets import BASELINE, WIDER

pytestmark = [pytest.mark.docker, pytest.mark.timeout(1800)]

LARGEST = 2_000_000_000
"""Bytes, uncompressed."""

NF4_STEP = """
import json, torch, bitsandbytes as bnb
layer = bnb.nn.Linear4bit(64, 32, bias=False, compute_dtype=torch.float32, quant_type="nf4", compress_statistics=True)
exact = layer.weight.data.clone()
layer = layer.to("cpu")
rows = torch.ones(2, 64, requires_grad=True)
answer = layer(rows)
answer.sum().backward()
error = (answer[0] - exact.sum(1)).abs().max().item()
print(json.dumps({"quantized": str(layer.weight.dtype), "error": error, "gradient": bool(rows.grad.abs().sum() > 0)}))
"""

WHAT_IS_THERE = """
import importlib.util, json, os, stat, sys
from importlib.metadata import distributions
privileged = [os.path.join(folder, name) for folder, _, names in os.walk("/") if not folder.startswith(("/proc", "/sys", "/dev"))
              for name in names if os.lstat(os.path.join(folder, name)).st_mode & (stat.S_ISUID | stat.S_ISGID)]
installed = {found.name.lower().replace("_", "-"): found.version for found in distributions()}
print(json.dumps({"privileged": privileged, "installed": installed, "pip": bool(importlib.util.find_spec("pip"))}))
"""


def test_the_image_is_small(inspected: dict[str, Any]) -> None:
    """The image for processors has at most 2.0 GB uncompressed."""
    assert inspected["Size"] <= LARGEST


def test_all_offline_switches_are_set(inspected: dict[str, Any]) -> None:
    """Whatever is started in a container finds every switch that keeps libraries from looking at the network."""
    settings = dict(line.split("=", 1) for line in inspected["Config"]["Env"])
    assert {name: settings.get(name) for name in OFFLINE_SWITCHES} == OFFLINE_SWITCHES


def test_what_is_in_it_is_what_was_gathered(contained: Contained) -> None:
    """The libraries are those of requirements.txt, nothing can install more, and no program makes anybody another user."""
    found = json.loads(contained("/opt/greenwave/bin/python", "-", stdin=WHAT_IS_THERE))
    lines = (wheelhouse.wheelhouse("cpu", debian.base_image()) / "requirements.txt").read_text("utf-8").splitlines()
    gathered = dict(line.split(" ")[0].split("==") for line in lines)
    assert found["installed"] == {**gathered, "greenwave": wheelhouse.version()}
    assert not found["pip"]
    assert found["privileged"] == []


def test_llama_cpp_fits_any_processor(contained: Contained) -> None:
    """The image has a library for the oldest 64-bit processors and one for each wider instruction set, and runs with the best at hand."""
    folder = contained("/opt/greenwave/bin/python", "-c", "import llama_cpp, os; print(os.path.dirname(llama_cpp.__file__))").strip()
    found = set(contained("/bin/ls", f"{folder}/bin").split())
    assert found >= {BASELINE, *WIDER.values()}
    checks = json.loads(contained("/opt/greenwave/bin/greenwave", "doctor", "--json"))["checks"]
    assert next(check["state"] for check in checks if check["name"] == "llama") == "ok"


def test_four_bit_layers_work_in_the_container(contained: Contained) -> None:
    """NF4 quantizes, computes and gives gradients with what is left of bitsandbytes."""
    told = json.loads(contained("/opt/greenwave/bin/python", "-", stdin=NF4_STEP).splitlines()[-1])
    assert told["quantized"] == "torch.uint8"
    assert told["error"] < 0.5
    assert told["gradient"]


def test_the_folder_says_what_is_in_it(image: str) -> None:
    """Each wheel and each Debian package is pinned by its checksum, and a changed byte is refused by the file's name."""
    folder = wheelhouse.wheelhouse("cpu", debian.base_image())
    building.verify(folder)
    lines = (folder / "requirements.txt").read_text("utf-8").splitlines()
    assert len(lines) == len(list((folder / "wheels").glob("*.whl")))
    assert all("==" in line and " --hash=sha256:" in line for line in lines)
    packages = (folder / "debs/SHA256SUMS").read_text("utf-8")
    assert "libgomp1_" in packages and "python3.11_" in packages


@pytest.mark.slow
@pytest.mark.parametrize("builder", ["classic", "BuildKit"])
def test_the_same_gives_the_same_files(image: str, builder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Built again from the beginning, without any step of the first build, by either builder, the image holds exactly the same files."""
    if builder == "BuildKit":
        monkeypatch.setenv("DOCKER_BUILDKIT", "1")
        monkeypatch.setenv("PATH", f"{folder_of_client_with_buildkit()}:{os.environ['PATH']}")
    base = debian.base_image()
    again = building.build(wheelhouse.wheelhouse("cpu", base), base, f"{image}-again", anew=True)
    try:
        first, second = (set(tree.entries(tag)) for tag in (image, again))
        assert sorted(first ^ second) == []
    finally:
        building.forget(again)
        subprocess.run(["docker", "builder", "prune", "--force"], check=True, capture_output=True)


def folder_of_client_with_buildkit() -> Path:
    """Where a docker command lies that can use BuildKit: Docker 20.10's own can, newer ones need the plug-in buildx."""
    refusals = []
    for folder in dict.fromkeys([*os.environ["PATH"].split(":"), "/usr/bin"]):
        client = Path(folder, "docker")
        if client.is_file():
            tried = subprocess.run(
                [client, "build", "--network=none", "-"], input="FROM scratch\nLABEL tried=yes\n", text=True, capture_output=True,
                check=False, env={**os.environ, "DOCKER_BUILDKIT": "1"},
            )  # fmt: skip
            if not tried.returncode:
                return client.parent
            refusals.append(f"{client}: {tried.stderr.strip()}")
    pytest.fail(f"No docker command here can use BuildKit: {'; '.join(refusals)}", pytrace=False)
