"""Bringing a peft adapter in: looked at like a base, held against the base it is for, completed with the words it lacks."""

from __future__ import annotations

import json
import pickle
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from appliance.domain.errors import ApplianceError
from appliance.domain.event import Artifact, Event, Notice, Produced, Progress, Started
from appliance.domain.spec import AdoptSpec, ExportSpec
from appliance.files.checksum import folder_manifest, manifest_sha256
from appliance.stages.adopt import run
from appliance.stages.export import run as export
from appliance.texts.speech import LANGUAGES, explain
from tests.stages.export.adapters import make_kind
from tests.stages.export.tiny_base import CHATML, make_adapter, make_base


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The base that the adapter is for."""
    return make_base(tmp_path_factory.mktemp("base") / "base")


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory, base: Path) -> Path:
    """An adapter that may come in."""
    return make_adapter(tmp_path_factory.mktemp("sound") / "adapter", base, use_rslora=True)


@pytest.fixture
def adapter(sound: Path, tmp_path: Path) -> Path:
    """A copy of it that may be spoilt."""
    return Path(shutil.copytree(sound, tmp_path / "medium" / "adapter"))


def test_scaling_is_told_as_what_it_is(tmp_path: Path, base: Path) -> None:
    """An (IA)³ adapter comes in with its method and its counts."""
    source = make_kind("scaling", tmp_path / "medium" / "adapter", base)
    facts = adopted(source, base, tmp_path / "home" / "adapter")[0].facts
    assert (facts["method"], facts["modules"], facts["parameters"]) == ("ia3", 6, 2 * (32 + 32 + 96))


def adopted(source: Path, base: Path, place: Path) -> tuple[Artifact, list[Event]]:
    """What the stage produced and said."""
    events: list[Event] = []
    run(AdoptSpec(source=str(source), base=str(base), output=str(place)), events.append)
    (artifact,) = [event.artifact for event in events if isinstance(event, Produced)]
    return artifact, events


def problems(source: Path, base: Path, place: Path) -> list[dict[str, Any]]:
    """Why an adapter must not come in; nothing may be left of it, and both languages have words for it."""
    with pytest.raises(ApplianceError) as caught:
        adopted(source, base, place)
    assert caught.value.code == "adapter_refused"
    assert not place.parent.exists() or not list(place.parent.iterdir())
    told: list[dict[str, Any]] = caught.value.parameters["problems"]
    for language in LANGUAGES:
        message, hint = explain(caught.value, language)
        assert hint
        assert not any(problem["code"] in message for problem in told)
    return told


def notices(events: list[Event]) -> Iterator[str]:
    """Codes of what a person is told."""
    return (event.code for event in events if isinstance(event, Notice))


def test_sound_adapter_is_copied_and_described(adapter: Path, base: Path, tmp_path: Path) -> None:
    """Every byte arrives, the facts tell what it is and on which base it says it was trained, the counter ends at the total."""
    artifact, events = adopted(adapter, base, tmp_path / "models" / "new")
    assert folder_manifest(tmp_path / "models" / "new") == folder_manifest(adapter) == artifact.facts["manifest"]
    assert (artifact.role, artifact.sha256) == ("adapter", manifest_sha256(artifact.facts["manifest"]))
    told = {key: artifact.facts[key] for key in ("method", "rank", "alpha", "modules", "added_tokens", "quantized_base", "family")}
    expected = {"method": "rslora", "rank": 4, "alpha": 8, "modules": 14, "added_tokens": 0, "quantized_base": False, "family": "Qwen2"}
    assert told == expected
    assert artifact.facts["named_base"] == str(base)
    assert list(notices(events)) == ["adapter_names_base"]
    (started,) = [event for event in events if isinstance(event, Started)]
    assert [event.done for event in events if isinstance(event, Progress)][-1] == started.total


@pytest.mark.parametrize("kind", ["dora", "saved modules", "tokens", "new tokens", "new tokens saved"])
def test_every_kind_comes_in_and_can_be_exported(base: Path, tmp_path: Path, kind: str) -> None:
    """Whatever is merged is accepted, with its own tokens and words, and the export's check passes with them."""
    source = make_kind(kind, tmp_path / "source", base)
    artifact, _ = adopted(source, base, tmp_path / "adapter")
    if kind.startswith("new"):
        assert artifact.facts["added_tokens"] > 0
    events: list[Event] = []
    export(ExportSpec(base=str(base), adapter=artifact.path, output=str(tmp_path / "model.gguf")), events.append)
    (made,) = [event.artifact for event in events if isinstance(event, Produced)]
    assert made.facts["check"]["mismatches"] == 0


def test_missing_words_are_the_bases(base: Path, tmp_path: Path) -> None:
    """A tokenizer that comes without settings and template gets the base's, and a notice says so."""
    source = make_adapter(tmp_path / "source", base)
    shutil.copyfile(base / "tokenizer.json", source / "tokenizer.json")
    (source / "tokenizer_config.json").write_text(json.dumps({"eos_token": "<|im_end|>"}), "utf-8")
    artifact, events = adopted(source, base, tmp_path / "adapter")
    assert (Path(artifact.path) / "chat_template.jinja").read_text("utf-8") == CHATML
    assert "template_of_base" in notices(events)


def change(name: str, **changes: Any) -> Callable[[Path], None]:
    """Change keys of a JSON file of the adapter."""

    def spoil(adapter: Path) -> None:
        path = adapter / name
        path.write_text(json.dumps({**json.loads(path.read_text("utf-8")), **changes}), "utf-8")

    return spoil


SPOILS: dict[str, tuple[str, Callable[[Path], object]]] = {
    "pickled weights": ("pickle_in_folder", lambda adapter: (adapter / "adapter_model.bin").write_bytes(pickle.dumps({}))),
    "optimizer": ("pickle_in_folder", lambda adapter: (adapter / "optimizer.pt").write_bytes(b"x")),
    "code": ("code_in_folder", lambda adapter: (adapter / "own.py").write_text("import os")),
    "auto_map": ("json_calls_code", change("adapter_config.json", auto_mapping=None, auto_map={"x": "y"})),
    "no config": ("file_missing", lambda adapter: (adapter / "adapter_config.json").unlink()),
    "no weights": ("file_missing", lambda adapter: (adapter / "adapter_model.safetensors").unlink()),
    "truncated": ("safetensors_truncated", lambda adapter: (adapter / "adapter_model.safetensors").write_bytes(b"\x10" + bytes(11))),
    "other method": ("adapter_part_unsupported", change("adapter_config.json", peft_type="VERA")),
    "broken config": ("json_broken", lambda adapter: (adapter / "adapter_config.json").write_text("[]")),
    "link outside": ("link_leaves_folder", lambda adapter: (adapter / "notes.txt").symlink_to("/etc/hostname")),
}


@pytest.mark.parametrize(("code", "spoil"), SPOILS.values(), ids=SPOILS.keys())
def test_unsound_adapter_is_refused(adapter: Path, base: Path, tmp_path: Path, code: str, spoil: Callable[[Path], object]) -> None:
    """Each danger and each damage is named, and nothing is copied."""
    spoil(adapter)
    assert code in [problem["code"] for problem in problems(adapter, base, tmp_path / "models" / "new")]


@pytest.mark.parametrize(
    ("shape", "code", "named"),
    [
        ({"hidden_size": 128}, "adapter_shape_differs", "model.layers.0.mlp.down_proj"),
        ({"num_hidden_layers": 1}, "adapter_module_unknown", "model.layers.1.mlp.down_proj"),
    ],
)
def test_adapter_of_another_base_is_refused_with_the_difference(
    adapter: Path, tmp_path: Path, shape: dict[str, Any], code: str, named: str
) -> None:
    """The layer that does not fit is told."""
    (problem,) = problems(adapter, make_base(tmp_path / "other", **shape), tmp_path / "models" / "new")
    assert (problem["code"], problem["module"]) == (code, named)


def test_adapter_with_another_tokenizer_is_refused_with_the_token(adapter: Path, base: Path, tmp_path: Path) -> None:
    """The same shapes, but other words: the first id that means something else is told."""
    told = json.loads((base / "tokenizer.json").read_text("utf-8"))
    told["added_tokens"][0]["content"] = "<|other|>"
    (adapter / "tokenizer.json").write_text(json.dumps(told), "utf-8")
    (problem,) = problems(adapter, base, tmp_path / "models" / "new")
    expected = {"code": "adapter_tokenizer_differs", "base": "<|endoftext|>", "adapter": "<|other|>", "id": told["added_tokens"][0]["id"]}
    assert problem == expected


def test_adapter_without_a_base_is_told_apart_from_a_base(adapter: Path, tmp_path: Path) -> None:
    """Nobody said which base it is for: the refusal asks for it."""
    with pytest.raises(ApplianceError, match="adapter_needs_base"):
        run(AdoptSpec(source=str(adapter), output=str(tmp_path / "new")), lambda _event: None)


def test_nan_is_named(base: Path, tmp_path: Path) -> None:
    """Numbers that are none are found before anything is copied."""
    source = make_adapter(tmp_path / "source", base, scale=float("nan"), target_modules=["q_proj"])
    (problem,) = problems(source, base, tmp_path / "models" / "new")
    assert problem["code"] == "adapter_not_finite"
    assert problem["module"].endswith("q_proj")


def test_base_dtype_does_not_matter(tmp_path: Path) -> None:
    """The adapter of an f32 base fits the same base in bf16."""
    bases = [make_base(tmp_path / str(dtype), dtype=dtype) for dtype in (torch.float32, torch.bfloat16)]
    assert adopted(make_adapter(tmp_path / "adapter", bases[0]), bases[1], tmp_path / "new")[0].facts["modules"] == 14
