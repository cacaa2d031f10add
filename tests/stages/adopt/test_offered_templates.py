"""A base without a chat template is offered one that fits its tokenizer, and is given it on demand."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from appliance.domain.conversation import Message
from appliance.domain.errors import ApplianceError, ExitCode
from appliance.domain.event import Artifact, Event, Notice, Produced
from appliance.domain.spec import AdoptSpec, TemplateChoice
from appliance.files.checksum import folder_manifest
from appliance.stages.adopt import run
from appliance.stages.adopt.offered_templates import TEMPLATES
from appliance.stages.export.vocabulary import read_vocabulary
from appliance.stages.language_model.chat_template import ChatTemplate
from appliance.stages.language_model.loading import load_tokenizer
from tests.stages.export.sentencepiece_tokenizer import sentencepiece_model
from tests.stages.export.tiny_base import make_base

FITTING: dict[str, TemplateChoice] = {"qwen2": "chatml", "qwen3": "chatml", "llama": "llama3", "llama2": "inst", "mistral": "inst"}
TURNS = [
    Message("system", "短答。"),
    Message("user", "限速多少？"),
    Message("assistant", "60。"),
    Message("user", "why?"),
    Message("assistant", "A school 🚸 is near."),
]


def stripped(folder: Path) -> Path:
    """A base as people bring one that was never taught to chat."""
    place = folder / "tokenizer_config.json"
    place.write_text(json.dumps({**json.loads(place.read_text("utf-8")), "chat_template": None}), "utf-8")
    return folder


def adopted(source: Path, place: Path, wanted: TemplateChoice | None) -> tuple[Artifact, list[Event]]:
    """What the stage produced and said."""
    events: list[Event] = []
    run(AdoptSpec(source=str(source), output=str(place), chat_template=wanted), events.append)
    (artifact,) = [event.artifact for event in events if isinstance(event, Produced)]
    return artifact, events


def refusal(source: Path, place: Path, wanted: TemplateChoice) -> ApplianceError:
    """Why a base does not come in with a template; nothing may be left of it."""
    with pytest.raises(ApplianceError) as caught:
        adopted(source, place, wanted)
    assert not place.parent.exists() or not list(place.parent.iterdir())
    return caught.value


@pytest.mark.parametrize("family", FITTING)
def test_every_family_is_given_its_own(tmp_path: Path, family: str) -> None:
    """The template that fits is offered with a command; once given, answers with their ends are trained, and the GGUF file has it."""
    source = stripped(make_base(tmp_path / "medium" / "a base", family))
    name = FITTING[family]
    bare, said = adopted(source, tmp_path / "bare" / "base", None)
    assert Notice("warning", "template_offered", {"template": name, "path": f"'{source}'"}) in said
    assert bare.facts["chat_template"] is False
    given, said = adopted(source, tmp_path / "given" / "base", "auto")
    assert Notice("info", "template_given", {"template": name}) in said
    assert (given.facts["chat_template"], given.facts["given_template"]) == (True, name)
    assert given.facts["manifest"] == folder_manifest(Path(given.path))
    tokenizer = load_tokenizer(Path(given.path))
    template = ChatTemplate(tokenizer)
    text, spans = template.trained_spans(TURNS)
    end = TEMPLATES[name].markers[-1]
    assert [text[start:stop].strip() for start, stop in spans] == [f"60。{end}", f"A school 🚸 is near.{end}"]
    assert all(turn.content in text for turn in TURNS)
    assert template.end_of_turn == end
    assert len(tokenizer.backend_tokenizer.encode(end, add_special_tokens=False).ids) == 1
    assert read_vocabulary(Path(given.path), given.facts["vocabulary"]).chat_template == tokenizer.chat_template == TEMPLATES[name].text


def test_a_template_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    """A template whose markers the tokenizer would split is refused by name before anything is copied; the base's own stays."""
    source = make_base(tmp_path / "medium" / "base", "qwen2")
    refused = refusal(source, tmp_path / "new" / "base", "llama3")
    assert (refused.code, refused.exit_code) == ("template_not_needed", ExitCode.USAGE)
    own, said = adopted(source, tmp_path / "own" / "base", "auto")
    assert own.facts["chat_template"] is True
    assert "given_template" not in own.facts
    assert not [event for event in said if isinstance(event, Notice) and event.code.startswith("template")]
    refused = refusal(stripped(source), tmp_path / "new" / "base", "llama3")
    assert (refused.code, refused.exit_code) == ("template_does_not_fit", ExitCode.USAGE)
    assert "<|start_header_id|>" in refused.parameters["missing"]


def test_a_base_that_no_template_fits(tmp_path: Path) -> None:
    """A tokenizer without any markers is told when the base comes in, and refused where a template is wanted."""
    source = stripped(make_base(tmp_path / "medium" / "base", "qwen2"))
    place = source / "tokenizer.json"
    place.write_text(place.read_text("utf-8").replace("<|im_", "<|other_"), "utf-8")
    _, said = adopted(source, tmp_path / "bare" / "base", None)
    assert Notice("warning", "template_missing") in said
    assert refusal(source, tmp_path / "new" / "base", "auto").code == "no_template_fits"
    unknown = {
        **json.loads(place.read_text("utf-8")),
        "model": {"type": "WordLevel", "vocab": {"?": 0}, "unk_token": "?"},
        "added_tokens": [],
    }
    place.write_text(json.dumps({**unknown, "pre_tokenizer": None, "post_processor": None, "decoder": None, "normalizer": None}), "utf-8")
    assert refusal(source, tmp_path / "new" / "base", "auto").code == "no_template_fits"  # though each marker is one token: the unknown one
    place.write_text("{}", "utf-8")
    assert refusal(source, tmp_path / "new" / "base", "auto").code == "tokenizer_unreadable"


def test_a_tokenizer_that_is_made_at_import_gets_one_too(tmp_path: Path) -> None:
    """A base with nothing but a ``tokenizer.model`` is offered and given a template once its tokenizer has been made."""
    source = stripped(make_base(tmp_path / "medium" / "base", "llama2"))
    told = json.loads((source / "tokenizer.json").read_text("utf-8"))
    (source / "tokenizer.model").write_bytes(sentencepiece_model(told))
    (source / "tokenizer.json").unlink()
    _, said = adopted(source, tmp_path / "bare" / "base", None)
    assert Notice("warning", "template_offered", {"template": "inst", "path": str(source)}) in said
    given, _ = adopted(source, tmp_path / "given" / "base", "auto")
    assert given.facts["given_template"] == "inst"
    assert ChatTemplate(load_tokenizer(Path(given.path))).end_of_turn == "</s>"
    shutil.rmtree(given.path)
    assert refusal(source, tmp_path / "new" / "base", "chatml").code == "template_does_not_fit"
