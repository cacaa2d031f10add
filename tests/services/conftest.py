"""What several tests of the services begin with."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.services.workbench import Workbench


@pytest.fixture
def workbench(own_home: Path, tmp_path: Path) -> Workbench:
    """A workbench with one dataset, ``rows``."""
    source = tmp_path / "records.jsonl"
    source.write_text('{"instruction": "a", "output": "b"}\n', "utf-8")
    made = Workbench()
    assert made.runs.wait(made.datasets.start_import(source, "rows").id).state == "done"
    return made
