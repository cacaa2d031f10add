"""A base that brings ``tokenizer.model`` alone gets the ``tokenizer.json`` that means the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer

from appliance.domain.errors import ApplianceError
from appliance.domain.event import Event, Notice, Produced
from appliance.domain.spec import AdoptSpec, ExportSpec
from appliance.files.checksum import folder_manifest
from appliance.stages.adopt import run
from appliance.stages.export import run as export
from appliance.stages.export.probe_texts import probe_texts
from tests.stages.export.sentencepiece_tokenizer import sentencepiece_model
from tests.stages.export.tiny_base import make_base


def without_json(folder: Path, **changes: Any) -> Path:
    """Replace ``tokenizer.json`` by the ``tokenizer.model`` of the same vocabulary."""
    told = json.loads((folder / "tokenizer.json").read_text("utf-8"))
    (folder / "tokenizer.model").write_bytes(sentencepiece_model(told, **changes))
    (folder / "tokenizer.json").unlink()
    settings = json.loads((folder / "tokenizer_config.json").read_text("utf-8"))
    added = {str(token["id"]): token for token in told["added_tokens"]}
    (folder / "tokenizer_config.json").write_text(json.dumps({**settings, "added_tokens_decoder": added}), "utf-8")
    return folder


@pytest.mark.parametrize("family", ["llama2", "mistral"])
def test_tokenizer_is_made_and_gives_the_same_ids(tmp_path: Path, family: str) -> None:
    """The published folder has both files, its manifest is true, its ids are the original's, and an export passes the check."""
    source = make_base(tmp_path / "source", family)
    original = Tokenizer.from_file(str(source / "tokenizer.json"))
    events: list[Event] = []
    run(AdoptSpec(source=str(without_json(source)), output=str(tmp_path / "base")), events.append)
    (artifact,) = [event.artifact for event in events if isinstance(event, Produced)]
    assert artifact.facts["manifest"] == folder_manifest(tmp_path / "base")
    assert [event.code for event in events if isinstance(event, Notice)] == ["tokenizer_made"]
    made = Tokenizer.from_file(str(tmp_path / "base" / "tokenizer.json"))
    for text in probe_texts(["<s>", "[TOOL]"]):
        assert made.encode(text).ids == original.encode(text).ids, text
    export(ExportSpec(base=artifact.path, output=str(tmp_path / "model.gguf")), events.append)


@pytest.mark.parametrize(
    ("changes", "part"), [({"model_type": 1}, "tokenizer.model unigram"), ({"charsmap": b"x"}, "tokenizer.model precompiled_charsmap")]
)
def test_other_kinds_are_refused(tmp_path: Path, changes: dict[str, Any], part: str) -> None:
    """What cannot be said in ``tokenizer.json`` of this kind is named, and nothing is left."""
    source = without_json(make_base(tmp_path / "source", "llama2"), **changes)
    with pytest.raises(ApplianceError) as caught:
        run(AdoptSpec(source=str(source), output=str(tmp_path / "models" / "base")), lambda _event: None)
    assert (caught.value.code, caught.value.parameters["part"]) == ("tokenizer_unsupported", part)
    assert not list((tmp_path / "models").iterdir())
