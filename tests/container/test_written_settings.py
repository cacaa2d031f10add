"""What README, documentation and compose.yaml tell people to type is what the tests of the container run."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from scripts.lockdown.box import LOCKDOWN

ROOT = Path(__file__).resolve().parent.parent.parent
PAGES = ("README.md", "README.zh-CN.md", "docs/container.md")


def run_lines(page: str) -> list[str]:
    """Every ``docker run`` that starts the appliance, continued lines joined, options written with ``=``."""
    text = (ROOT / page).read_text("utf-8").replace("\\\n", " ")
    found = [" ".join(line.split()) for line in text.splitlines() if line.startswith("docker run") and "…" not in line]
    return [re.sub(r"(--[a-z-]+) (?=[^-])", r"\1=", line) for line in found]


@pytest.mark.parametrize("page", PAGES)
def test_written_lines_lock_the_container_down(page: str) -> None:
    """Every line of the documentation that starts the appliance has each of the settings."""
    lines = run_lines(page)
    assert lines
    for line in lines:
        written = [option.replace("--read-only=", "--read-only ") for option in line.split()]
        assert [option for option in LOCKDOWN if option not in " ".join(written).split() and option not in written] == [], line
        assert re.search(r"--memory=(\S+) --memory-swap=\1 ", line), line
        assert "greenwave:/data" in line


def test_compose_has_the_same_settings() -> None:
    """compose.yaml says what the lines for ``docker run`` say; the GPU's file adds nothing but the GPU."""
    service: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))["services"]["greenwave"]
    told = {
        *(["--read-only"] if service["read_only"] else []),
        *(f"--cap-drop={name}" for name in service["cap_drop"]),
        *(f"--security-opt={name}" for name in service["security_opt"]),
        f"--network={service['network_mode']}",
        f"--pids-limit={service['pids_limit']}",
        *(f"--tmpfs={place}" for place in service["tmpfs"]),
        f"--stop-timeout={service['stop_grace_period'].removesuffix('s')}",
    }
    assert told == set(LOCKDOWN)
    assert service["mem_limit"] == service["memswap_limit"]
    gpu = yaml.safe_load((ROOT / "compose.gpu.yaml").read_text("utf-8"))["services"]["greenwave"]
    assert set(gpu) == {"image", "deploy"}
