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
def test_a_plans_memory_is_what_training_takes(tmp_path: Path) -> None:
    """LoRA and QLoRA on bases of 170 and 193 million parameters take within 15 % of the plan's memory."""
    command = [sys.executable, str(SCRIPT), "--seed", "77", "--count", "2", "--no-large", "--json", "--folder", str(tmp_path)]
    results = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)["results"]
    assert len(results) == 2
    for found in results:
        assert 0.85 < found["memory_told"] / found["memory_measured"] < 1.15, found["configuration"]
