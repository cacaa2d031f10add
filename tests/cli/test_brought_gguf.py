"""A GGUF file that was made elsewhere is brought in, asked and served like one of our own."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import pytest

from appliance import demo
from tests.cli.conftest import Greenwave


@pytest.mark.slow
def test_a_gguf_file_comes_in_and_answers(greenwave: Greenwave, tmp_path: Path) -> None:
    """From a medium with a list of checksums: listed with its checksum, verified, asked; a changed file is refused by name."""
    assert greenwave("models", "import", demo.base_folder(), "--name", "base").status == 0
    made = greenwave("export", "base", "--name", "q8", "--type", "q8_0", "--no-check", "--json").json
    medium = tmp_path / "medium"
    medium.mkdir()
    shutil.copy(made["path"], medium / "police.gguf")
    digest = hashlib.sha256((medium / "police.gguf").read_bytes()).hexdigest()
    (medium / "police.gguf.sha256").write_text(f"{digest}  police.gguf\n")
    brought = greenwave("models", "import", medium, "--name", "brought", "--json")  # its only GGUF file
    assert brought.status == 0, brought.err
    assert (brought.json["kind"], brought.json["sha256"]) == ("gguf", digest)
    assert brought.json["facts"]["check"]["done"]
    assert greenwave("models", "verify", "brought", "--json").json["verified"]
    assert greenwave("chat", "brought", "今天松棠路口运行的是哪一套配时方案？", "--temperature", 0, "--json").json["text"]
    with (medium / "police.gguf").open("r+b") as file:
        file.seek(-1, 2)
        file.write(b"\x7f")
    refused = greenwave("models", "import", medium / "police.gguf", "--name", "other", "--json")
    assert (refused.status, refused.error["code"]) == (3, "checksum_differs")
    (medium / "police.gguf.sha256").unlink()
    (medium / "police.gguf").write_bytes((medium / "police.gguf").read_bytes()[:-100])
    refused = greenwave("models", "import", medium / "police.gguf", "--name", "other", "--json")
    assert (refused.status, refused.error["code"]) == (3, "gguf_broken")
    assert "it is incomplete" in refused.error["message"]
    assert {model["name"] for model in greenwave("models", "list", "--json").json} == {"base", "q8", "brought"}
    assert not (Path(made["path"]).parents[1] / ".copies").exists()
