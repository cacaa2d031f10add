"""A base that was never taught to chat, from the offer of a template at its import to the answer of a GGUF file."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from pathlib import Path

import pytest
from gguf import GGUFReader

from appliance import demo
from tests.cli.conftest import Greenwave
from tests.cli.test_life import SHORT


@pytest.mark.slow
def test_a_base_without_a_chat_template_is_given_one(greenwave: Greenwave, tmp_path: Path) -> None:
    """The refusal to train names a command; with it the base learns conversations, and the GGUF file answers by the same template."""
    source = Path(shutil.copytree(demo.base_folder(), tmp_path / "a bare base"))
    settings = json.loads((source / "tokenizer_config.json").read_text("utf-8"))
    settings.pop("chat_template")
    (source / "tokenizer_config.json").write_text(json.dumps(settings), "utf-8")
    brought = greenwave("models", "import", source, "--name", "bare", "--json")
    assert brought.status == 0, brought.err
    assert "--chat-template chatml" in brought.err
    assert greenwave("datasets", "import", demo.records_file(), "--name", "rows").status == 0
    training = ["train", "--base", "bare", "--dataset", "rows", "--without-redaction", "--name", "tuned", *SHORT, "--json"]
    refused = greenwave(*training)
    assert refused.error["code"] == "chat_template_missing"
    (offered,) = re.findall(r"greenwave (models import .* --chat-template auto)", refused.error["hint"])
    words = ["chatting" if word == "NAME" else word for word in shlex.split(offered)]
    given = greenwave(*words, "--json")
    assert given.status == 0, given.err
    assert given.json["facts"]["given_template"] == "chatml"
    tuned = greenwave(*["chatting" if word == "bare" else word for word in training])
    assert tuned.status == 0, tuned.err
    exported = greenwave("export", "tuned", "--name", "q8", "--type", "Q8_0", "--json")
    assert exported.status == 0, exported.err
    field = GGUFReader(exported.json["path"]).get_field("tokenizer.chat_template")
    assert field is not None
    assert field.contents() == (Path(given.json["path"]) / "chat_template.jinja").read_text("utf-8")
    assert greenwave("chat", "q8", "今天松棠路口运行的是哪一套配时方案？", "--max-tokens", 8, "--json").json["text"]


def test_only_a_base_is_given_a_template(greenwave: Greenwave, tmp_path: Path) -> None:
    """A GGUF file and an adapter have theirs, a base with its own keeps it, and a name that nobody knows is a slip."""
    file = tmp_path / "model.gguf"
    file.write_bytes(b"GGUF")
    for words in ((file,), (tmp_path, "--base", "base")):
        refused = greenwave("models", "import", *words, "--name", "x", "--chat-template", "auto", "--json")
        assert (refused.status, refused.error["code"]) == (2, "template_for_bases_only")
    refused = greenwave("models", "import", demo.base_folder(), "--name", "x", "--chat-template", "llama3", "--json")
    assert (refused.status, refused.error["code"]) == (2, "template_not_needed")
    assert greenwave("models", "import", demo.base_folder(), "--name", "x", "--chat-template", "vicuna").status == 2
    assert greenwave("models", "list", "--json").json == []
