"""Options of ``greenwave export``: what they do is recorded with the model and shown."""

from __future__ import annotations

from pathlib import Path

from appliance import demo
from tests.cli.conftest import Greenwave


def test_matrix_quality_and_missing_checks_are_shown(greenwave: Greenwave) -> None:
    """With a matrix and held-out rows everything is in facts, scores, lineage and the shown page; --no-check is shown, too."""
    assert greenwave("models", "import", demo.base_folder(), "--name", "base").status == 0
    assert greenwave("datasets", "import", demo.records_file(), "--name", "rows").status == 0
    few = ("--set", "export.check_tokens=1024", "--set", "export.imatrix_tokens=1024")
    weighed = greenwave("export", "base", "--name", "weighed", "--imatrix", "rows", "--validation", "rows", *few, "--json")
    assert weighed.status == 0, weighed.err
    facts = weighed.json["facts"]
    assert (facts["importance"]["dataset"], facts["quality"]["done"]) == ("rows", True)
    assert (Path(weighed.json["path"]).parent / facts["importance"]["file"]).read_bytes()[:4] == b"GGUF"
    shown = greenwave("models", "show", "weighed", "--json").json
    assert shown["scores"]["kl_divergence"] == facts["quality"]["kl_divergence"]
    page = greenwave("models", "show", "weighed").out
    assert "from rows" in page
    assert "same first choice" in page
    assert "perplexity in full precision" in page
    assert {parent["name"]: parent["role"] for parent in greenwave("models", "lineage", "weighed", "--json").json["parents"]} == {
        "rows": "importance",
        "base": "base",
    }
    assert greenwave("datasets", "remove", "rows", "--json").error["code"] == "still_needed"
    unchecked = greenwave("export", "base", "--name", "unchecked", "--no-check")
    assert unchecked.status == 0
    assert "--no-check" in unchecked.err
    assert "left out (--no-check)" in greenwave("models", "show", "unchecked").out
    said = greenwave("export", "base", "--name", "unmeasured")
    assert "no validation dataset" in said.err
    assert "not measured: there was no validation dataset" in said.out


def test_a_matrix_without_use_is_refused_at_once(greenwave: Greenwave) -> None:
    """A merged folder and unweighed types have no use for one; a dataset must be known."""
    assert greenwave("models", "import", demo.base_folder(), "--name", "base").status == 0
    for options in (("--merged",), ("--type", "q8_0"), ("--type", "f16")):
        refused = greenwave("export", "base", "--name", "x", "--imatrix", "rows", *options, "--json")
        assert (refused.status, refused.error["code"]) == (2, "imatrix_without_use")
    assert greenwave("export", "base", "--name", "x", "--imatrix", "rows", "--json").error["code"] == "dataset_unknown"
