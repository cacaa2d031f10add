"""``greenwave datasets redact`` and ``review``, and training that asks for a pass."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path

import pytest

from appliance import demo
from tests.cli.conftest import Greenwave

ROWS = (
    ("报警人张伟的电话是多少？", "13800138000。"),
    ("报警人张伟说了什么？", "张伟称苏A12345追尾。"),
    ("转账到哪里？", "转到4111111111111111。"),
    ("限速是多少？", "每小时60公里。"),
)


@pytest.fixture
def records(greenwave: Greenwave, tmp_path: Path) -> Path:
    """Four rows as the dataset ``rows``: two people's worth of data and one number that may be a card."""
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps({"instruction": q, "output": a}, ensure_ascii=False) + "\n" for q, a in ROWS), "utf-8")
    assert greenwave("datasets", "import", path, "--name", "rows").status == 0
    return path


def contents(greenwave: Greenwave, name: str) -> list[list[str]]:
    """Texts of a dataset's rows."""
    exported = greenwave("datasets", "export", name).out.splitlines()
    return [[message["content"] for message in json.loads(line)["messages"]] for line in exported]


def test_personal_data_is_replaced_consistently(greenwave: Greenwave, records: Path, tmp_path: Path) -> None:
    """The same person has the same pseudonym in every row; the result passes, its report shows no original; the same key gives the same."""
    key = tmp_path / "key"
    key.write_text("a key that a person has made\n")
    made = greenwave("datasets", "redact", "rows", "--key", key, "--json")
    assert made.status == 0, made.err
    report = made.json["facts"]["redaction"]
    assert report["passed"] and report["uncertain_distinct"] == 1
    assert report["kinds"]["name"]["found"] == 3
    folder = Path(made.json["path"])
    kept = b"".join(path.read_bytes() for path in folder.iterdir())
    assert not [secret for secret in ("张伟", "13800138000", "12345", "4111111111111111", "a key that") if secret.encode() in kept]
    texts = contents(greenwave, "rows-redacted")
    name = texts[0][0].removeprefix("报警人").removesuffix("的电话是多少？")
    assert "某" in name and texts[1][0].startswith(f"报警人{name}") and texts[1][1].startswith(name)
    assert texts[3] == list(ROWS[3])
    again = greenwave("datasets", "redact", "rows", "--key", key, "--name", "again", "--json").json
    assert again["sha256"] == made.json["sha256"]
    other = greenwave("datasets", "redact", "rows", "--name", "other", "--json").json
    assert other["sha256"] != made.json["sha256"]
    assert other["facts"]["redaction"]["key_id"] != report["key_id"]
    assert not list(tmp_path.rglob("*.key"))


def test_a_check_gives_a_pass_only_to_clean_data(greenwave: Greenwave, records: Path) -> None:
    """Rows with personal data end with 3 and by name; what was redacted passes, and so do the parts that it is split into."""
    refused = greenwave("datasets", "redact", "rows", "--check", "--json")
    assert (refused.status, refused.error["code"]) == (3, "personal_data_found")
    assert refused.json["facts"]["kinds"]["plate"]["found"] == 1
    assert greenwave("datasets", "redact", "rows").status == 0
    assert greenwave("datasets", "redact", "rows-redacted", "--check").status == 0
    assert greenwave("datasets", "clean", "rows-redacted").status == 0
    assert greenwave("datasets", "split", "rows-redacted-clean", "--set", "split.validation_share=0.5").status == 0
    from appliance.services.workbench import Workbench

    states = {dataset.name: Workbench().redaction.state(dataset.id) for dataset in Workbench().datasets.all()}
    assert {name: (state.passed, state.reason) for name, state in states.items()} == {
        "rows": (False, "finds"),
        "rows-redacted": (True, "checked"),
        "rows-redacted-clean": (True, "inherited"),
        "rows-redacted-clean-train": (True, "inherited"),
        "rows-redacted-clean-validation": (True, "inherited"),
    }
    makes_nothing = greenwave("datasets", "redact", "rows", "--check", "--name", "x", "--json")
    assert makes_nothing.error["code"] == "check_makes_nothing"


def test_uncertain_finds_are_decided_by_a_person(greenwave: Greenwave, records: Path, tmp_path: Path) -> None:
    """With ``uncertain = review`` the dataset does not pass until the filled-in table says replace or keep."""
    waiting = greenwave("datasets", "redact", "rows", "--set", "redaction.uncertain=review", "--json")
    assert waiting.json["facts"]["redaction"]["passed"] is False
    assert "4111111111111111" in contents(greenwave, "rows-redacted")[2][1]
    (entry,) = greenwave("datasets", "review", "rows-redacted", "--json").json
    assert entry["found"] == "4111111111111111"
    assert "⟦4111111111111111⟧" in greenwave("datasets", "review", "rows-redacted").out
    table = tmp_path / "decisions.csv"
    assert greenwave("datasets", "review", "rows-redacted", "--write", table).status == 0
    rows = list(csv.DictReader(table.read_text("utf-8-sig").splitlines()))
    rows[0]["decision"] = "keep"
    with table.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    words = ("--set", "redaction.uncertain=review", "--decisions", table, "--by", "王队", "--name", "decided", "--json")
    decided = greenwave("datasets", "redact", "rows", *words)
    assert decided.status == 0, decided.err
    report = decided.json["facts"]["redaction"]
    assert report["passed"] and report["decided_by"] == "王队" and report["kinds"]["bank_card"]["kept"] == 1
    assert "4111111111111111" in contents(greenwave, "decided")[2][1]
    table.write_text("place,decision\n3:1:2,maybe\n", "utf-8")
    assert greenwave("datasets", "redact", "rows", "--decisions", table, "--json").error["code"] == "decision_unknown"
    table.write_bytes(b"\xff\xfe\x00nonsense")
    assert greenwave("datasets", "redact", "rows", "--decisions", table, "--json").error["code"] == "decisions_unreadable"


def test_keys_are_kept_only_when_asked(greenwave: Greenwave, records: Path, tmp_path: Path) -> None:
    """--keep-key writes a key that only its owner reads, apart from the data, and it gives the same bytes again; bad keys are refused."""
    made = greenwave("datasets", "redact", "rows", "--keep-key", "--json").json
    (kept,) = (path for path in Path(os.environ["GREENWAVE_HOME"]).rglob("*.key"))
    assert kept.stat().st_mode & 0o077 == 0
    assert not kept.is_relative_to(Path(made["path"]))
    again = greenwave("datasets", "redact", "rows", "--key", kept, "--name", "again", "--json").json
    assert again["sha256"] == made["sha256"]
    assert again["facts"]["redaction"]["key_id"] == made["facts"]["redaction"]["key_id"]
    short = tmp_path / "short"
    short.write_text("secret")
    for path, code in ((short, "key_too_short"), (tmp_path / "none", "key_unreadable"), (tmp_path, "key_unreadable")):
        refused = greenwave("datasets", "redact", "rows", "--key", path, "--name", "x", "--json")
        assert (refused.status, refused.error["code"]) == (2, code)
    assert "x" not in [dataset["name"] for dataset in greenwave("datasets", "list", "--json").json]


def test_training_asks_for_a_pass(greenwave: Greenwave, records: Path) -> None:
    """Rows without a pass are refused by name, mixed ones too; the plan tells; the override is recorded in the model."""
    assert greenwave("models", "import", demo.base_folder(), "--name", "base").status == 0
    assert greenwave("datasets", "import", demo.records_file(), "--name", "good").status == 0
    words = ["train", "--base", "base", "--name", "tuned", "--set", "training.max_steps=2", "--set", "training.max_length=128"]
    refused = greenwave(*words, "--dataset", "rows", "--json")
    assert (refused.status, refused.error["code"]) == (3, "not_redacted")
    assert "rows" in greenwave("plan", "--base", "base", "--dataset", "rows", "--no-calibration").err
    assert greenwave("datasets", "redact", "good", "--check").status == 0
    planned = greenwave("plan", "--base", "base", "--dataset", "good", "--no-calibration", "--json").json
    assert planned["redaction"] == {"passed": True, "reason": "checked"}
    assert greenwave(*words, "--dataset", "good", "--mix", "rows=0.2", "--json").error["code"] == "not_redacted"
    forced = greenwave(*words, "--dataset", "good", "--mix", "rows=0.2", "--without-redaction", "--json")
    assert forced.status == 0, forced.err
    assert forced.json["facts"]["without_redaction"] == ["rows"]
