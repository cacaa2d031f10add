"""``greenwave plan``: the whole plan as a table and as one object; a training that cannot fit ends with 4."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from appliance import demo
from appliance.domain.memory import Room
from appliance.services import plans
from appliance.texts.speech import human_bytes
from tests.cli.conftest import Greenwave


@pytest.fixture
def ready(greenwave: Greenwave) -> Greenwave:
    """A home with the teaching base and its records."""
    assert greenwave("models", "import", demo.base_folder(), "--name", "teach").status == 0
    assert greenwave("datasets", "import", demo.records_file(), "--name", "records").status == 0
    return greenwave


def test_plan_is_shown_whole(ready: Greenwave) -> None:
    """As an object it has every part; as tables memory, lengths and methods; nothing is started."""
    plan = ready("plan", "--base", "teach", "--dataset", "records", "--json", "--no-calibration").json
    assert plan["fits"] and plan["nearest"] == {}
    assert plan["memory_total"] == sum(plan["memory"].values())
    assert len(plan["methods"]) == 9 and plan["seconds"] is None
    shown = ready("plan", "--base", "teach", "--dataset", "records", "--set", "training.max_length=40", "--no-calibration")
    assert shown.status == 0
    for word in ("too long", "embedding and head", "full fine-tuning", "not measured"):
        assert word in shown.out
    assert ready("runs", "list", "--json").json[0]["name"] == "import-records"


def test_a_disk_that_is_too_full_is_told_before(ready: Greenwave, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the training would be refused for is said with its plan, which is shown all the same."""
    usage = shutil.disk_usage(Path.cwd())
    monkeypatch.setattr("appliance.files.space.shutil.disk_usage", lambda _place: usage._replace(free=80 << 20))
    told = ready("plan", "--base", "teach", "--dataset", "records", "--no-calibration", "--json")
    needed = told.json["checkpoint_bytes"] + told.json["result_bytes"] + (64 << 20)
    assert needed > 80 << 20
    assert f"{human_bytes(needed)} needed" in told.err


def test_preset_is_fitted_and_told(ready: Greenwave, monkeypatch: pytest.MonkeyPatch) -> None:
    """A preset takes what the machine has room for, and says so on standard error."""
    monkeypatch.setattr(plans, "detected_room", lambda _device: Room(kind="cuda", name="X1", free=80 << 30, total=80 << 30))
    told = ready("plan", "--base", "teach", "--dataset", "records", "--preset", "thorough", "--device", "cpu", "--no-calibration", "--json")
    assert "training.micro_batch_size = 16 (X1 has" in told.err
    assert told.json["rows"]["steps"] > 0


def test_plan_takes_what_training_takes(ready: Greenwave, tmp_path: Path) -> None:
    """Rows mixed in, rows that are watched and terms are planned with the options of ``train``; too much of them is refused alike."""
    command = ("plan", "--base", "teach", "--dataset", "records", "--no-calibration", "--json")
    words = tmp_path / "terms.txt"
    words.write_text("信号相位差\n可变导向车道\n", "utf-8")
    plan = ready(*command, "--general", "records", "--mix", "records=0.5", "--terms", words).json
    trained = round(0.9 * ready("datasets", "list", "--json").json[0]["counts"]["rows"])
    assert plan["rows"]["rows"] == pytest.approx(2 * trained, abs=2)
    assert plan["rows"]["examined_tokens"] > 0
    refused = ready(*command, "--mix", "records=0.95")
    assert (refused.status, refused.error["code"]) == (2, "mix_too_large")
