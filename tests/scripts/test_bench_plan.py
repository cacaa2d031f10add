"""A plan's memory against what its training takes, measured by the benchmark itself on configurations that it draws."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "bench-plan"


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_memory_is_told_within_fifteen_percent(tmp_path: Path) -> None:
    """Two bases of 170 and 193 million parameters, LoRA and QLoRA, with and without recomputing: the plan's memory is the measured peak."""
    command = [sys.executable, str(SCRIPT), "--seed", "77", "--count", "2", "--no-large", "--json", "--folder", str(tmp_path)]
    results = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)["results"]
    assert len(results) == 2
    for found in results:
        assert found["memory_told"] == pytest.approx(found["memory_measured"], rel=0.15), found["configuration"]
