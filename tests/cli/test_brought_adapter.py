"""An adapter trained elsewhere, from its folder to an answer and to a GGUF adapter, by the command line."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest

from appliance import demo
from tests.cli.conftest import Greenwave
from tests.stages.export.tiny_base import make_adapter

KNOWN = "今天松棠路口运行的是哪一套配时方案？"


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    """A peft folder for the teaching base."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of peft and transformers about each other
        return make_adapter(tmp_path / "medium" / "adapter", demo.base_folder(), scale=0.02, use_rslora=True)


def test_a_brought_adapter_lives_like_one_that_was_trained_here(greenwave: Greenwave, adapter: Path) -> None:
    """Imported with its base as its parent, examined both ways, exported whole and alone, asked, verified, listed with its kind."""
    assert greenwave("models", "import", demo.base_folder(), "--name", "base").status == 0
    rows = adapter.with_name("rows.jsonl")
    rows.write_text("".join(demo.records_file().read_text("utf-8").splitlines(keepends=True)[:16]), "utf-8")
    assert greenwave("datasets", "import", rows, "--name", "rows").status == 0
    brought = greenwave("models", "import", adapter, "--base", "base", "--name", "brought", "--json")
    assert brought.status == 0, brought.err
    assert (brought.json["kind"], brought.json["facts"]["method"]) == ("adapter", "rslora")
    assert greenwave("models", "verify", "brought", "--json").json["verified"]
    assert [parent["name"] for parent in greenwave("models", "lineage", "brought", "--json").json["parents"]] == ["base"]
    scores = greenwave("evaluate", "brought", "--dataset", "rows", "--measure-merge", "--json").json["scores"]
    assert scores["validation_loss"] == scores["loss_original"] != scores["loss_dequantized"]
    whole = greenwave("export", "brought", "--name", "q8", "--type", "Q8_0", "--merge-into", "dequantized", "--json")
    assert whole.status == 0, whole.err
    assert whole.json["facts"]["merged_into"] == "dequantized"
    assert greenwave("chat", "q8", KNOWN, "--max-tokens", 8, "--json").json["text"]
    alone = greenwave("export", "brought", "--name", "narrow", "--adapter-only", "--json")
    assert alone.status == 0, alone.err
    assert alone.json["kind"] == "gguf_adapter"
    assert greenwave("models", "verify", "narrow", "--json").json["verified"]
    for command in (("chat", "narrow", KNOWN), ("export", "narrow", "--name", "again"), ("evaluate", "narrow", "--dataset", "rows")):
        assert greenwave(*command, "--json").status == 2
    refused = greenwave("export", "base", "--name", "other", "--adapter-only", "--json")
    assert (refused.status, refused.error["code"]) == (2, "model_kind_unfit")
    refused = greenwave("evaluate", "base", "--dataset", "rows", "--measure-merge", "--json")
    assert (refused.status, refused.error["code"]) == (2, "merge_not_measurable")


def test_an_adapter_needs_its_base(greenwave: Greenwave, adapter: Path) -> None:
    """Without ``--base`` the refusal asks for it; a base that is not here, or is none, is told."""
    refused = greenwave("models", "import", adapter, "--name", "brought", "--json")
    assert (refused.status, refused.error["code"]) == (3, "adapter_needs_base")
    refused = greenwave("models", "import", adapter, "--base", "nothing", "--name", "brought", "--json")
    assert (refused.status, refused.error["code"]) == (2, "model_unknown")
    assert greenwave("models", "list", "--json").json == []
