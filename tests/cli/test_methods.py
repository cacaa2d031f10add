"""Other methods from the command line: what they make is registered, examined, exported or refused as what it is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from appliance import demo
from tests.cli.conftest import Greenwave
from tests.cli.test_life import SHORT, bring_in, train


def test_a_fully_trained_model_is_a_base_again(greenwave: Greenwave) -> None:
    """Full fine-tuning makes a whole model: it is examined without a base, exported, and trained further."""
    bring_in(greenwave)
    made = greenwave(*train("whole", *SHORT, "--set", "training.method=full"), "--json")
    assert made.status == 0, made.err
    assert (made.json["kind"], made.json["facts"]["method"]) == ("merged", "full")
    assert greenwave("evaluate", "whole", "--dataset", "rows-validation", "--json").json["scores"]["validation_loss"] > 0
    exported = greenwave("export", "whole", "--name", "q8", "--type", "Q8_0", "--json")
    assert exported.status == 0, exported.err
    words = ["train", "--base", "whole", "--dataset", "rows-train", "--without-redaction", "--name", "further", *SHORT]
    assert greenwave(*words, "--json").json["kind"] == "adapter"


@pytest.mark.slow
def test_virtual_tokens_are_examined_and_not_exported(greenwave: Greenwave, tmp_path: Path) -> None:
    """Prompt tuning warns before it begins, its model answers an exam, and its export is refused with what to do instead."""
    bring_in(greenwave)
    made = greenwave(*train("prompted", *SHORT, "--set", "training.method=prompt"), "--json")
    assert made.status == 0, made.err
    assert "GGUF" in made.err
    exam = tmp_path / "exam.jsonl"
    exam.write_text("".join(demo.exam_file().read_text("utf-8").splitlines(keepends=True)[:3]), "utf-8")
    assert "exam_accuracy" in greenwave("evaluate", "prompted", "--exam", exam, "--json").json["scores"]
    refused = greenwave("export", "prompted", "--name", "never", "--json")
    assert (refused.status, refused.error["code"]) == (2, "method_not_exported")


@pytest.mark.slow
def test_scaling_vectors_are_served(greenwave: Greenwave) -> None:
    """An (IA)³ adapter is merged into the four-bit base it was trained on and exported; alone it cannot be a GGUF adapter."""
    bring_in(greenwave)
    made = greenwave(*train("scaled", *SHORT, "--set", "training.method=ia3"), "--json")
    assert made.status == 0, made.err
    assert "GGUF" not in made.err
    exported = greenwave("export", "scaled", "--name", "q8", "--type", "Q8_0", "--json")
    assert exported.status == 0, exported.err
    assert exported.json["facts"]["merged_into"] == "dequantized"
    refused = greenwave("export", "scaled", "--name", "alone", "--adapter-only", "--json")
    assert (refused.status, refused.error["code"]) == (3, "adapter_file_impossible")


@pytest.mark.slow
def test_terms_and_preferences(greenwave: Greenwave, tmp_path: Path) -> None:
    """A term list and a general set go into a training; preferences are imported, split and learned from."""
    bring_in(greenwave)
    terms = tmp_path / "terms.txt"
    terms.write_text("信号配时方案\n绿波协调控制\n", "utf-8")
    worded = greenwave(*train("worded", *SHORT, "--terms", terms.as_posix(), "--general", "rows-validation"), "--json")
    assert worded.status == 0, worded.err
    assert worded.json["facts"]["new_tokens"] == 2
    exported = greenwave("export", "worded", "--name", "worded-q8", "--type", "Q8_0", "--json")
    assert exported.status == 0, exported.err
    assert worded.json["facts"]["general_loss_before"] > 0
    assert greenwave("evaluate", "worded", "--dataset", "rows-validation", "--json").status == 0
    pairs = tmp_path / "pairs.jsonl"
    rows = [{"prompt": f"{number}号路口？", "chosen": f"您好，绿灯{number}秒。", "rejected": f"不知道{number}"} for number in range(40)]
    pairs.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows), "utf-8")
    assert greenwave("datasets", "import", pairs, "--name", "pairs", "--json").json["facts"]["preferences"] == 40
    preferring = ["train", "--base", "base", "--dataset", "pairs", "--name", "polite", "--without-redaction"]
    preferring += [*SHORT, "--set", "training.objective=preferences"]
    polite = greenwave(*preferring, "--json")
    assert polite.status == 0, polite.err
    assert polite.json["facts"]["reward_margin"] > 0
