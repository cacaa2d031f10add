"""Bringing a model in: what is sound is copied and described, what is not is refused with every reason at once."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from appliance.domain.errors import ApplianceError
from appliance.domain.event import Artifact, Event, Notice, Produced, Progress, Started
from appliance.domain.recipe import ExportRecipe
from appliance.domain.spec import AdoptSpec, ExportSpec
from appliance.files.base_screening import screen_base
from appliance.files.checksum import file_sha256, folder_manifest, manifest_sha256
from appliance.stages.adopt import run
from appliance.stages.export import run as export
from appliance.texts.speech import LANGUAGES, explain
from tests.stages.export.tiny_base import make_base


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base that may come in."""
    return make_base(tmp_path_factory.mktemp("sound") / "base", tie_word_embeddings=True)


@pytest.fixture(scope="module")
def gguf(sound: Path) -> Path:
    """A GGUF file that may come in."""
    place = sound.with_name("model.gguf")
    export(
        ExportSpec(base=str(sound), output=str(place), name="来自外面", recipe=ExportRecipe(type="q8_0"), check=False), lambda _event: None
    )
    return place


@pytest.fixture
def base(sound: Path, tmp_path: Path) -> Path:
    """A copy of it that may be spoilt."""
    return Path(shutil.copytree(sound, tmp_path / "medium" / "base"))


def adopted(source: Path, place: Path) -> tuple[Artifact, list[Event]]:
    """What the stage produced and said."""
    events: list[Event] = []
    run(AdoptSpec(source=str(source), output=str(place)), events.append)
    (artifact,) = [event.artifact for event in events if isinstance(event, Produced)]
    return artifact, events


def refusal(source: Path, place: Path) -> ApplianceError:
    """The error of a model that must not come in; nothing may be left of it."""
    with pytest.raises(ApplianceError) as caught:
        adopted(source, place)
    assert not place.exists()
    assert not place.parent.exists() or not list(place.parent.glob("*.partial"))
    for language in LANGUAGES:
        message, hint = explain(caught.value, language)
        assert hint
        for problem in caught.value.parameters.get("problems", ()):
            assert problem["code"] not in message
    return caught.value


def codes(error: ApplianceError) -> list[str]:
    """The codes of all its problems."""
    assert error.code == "base_refused"
    return [problem["code"] for problem in error.parameters["problems"]]


def change(path: Path, **changes: Any) -> None:
    """Change keys of a JSON file."""
    path.write_text(json.dumps({**json.loads(path.read_text("utf-8")), **changes}), "utf-8")


def test_sound_base_is_copied_and_described(base: Path, tmp_path: Path) -> None:
    """Every byte arrives, checksums are recorded, the facts tell what it is, and the counter ends at the total."""
    artifact, events = adopted(base, tmp_path / "models" / "new")
    manifest = folder_manifest(base)
    assert folder_manifest(tmp_path / "models" / "new") == manifest == artifact.facts["manifest"]
    assert (artifact.role, artifact.sha256) == ("base", manifest_sha256(manifest))
    assert artifact.size == sum(path.stat().st_size for path in base.iterdir())
    told = {key: value for key, value in artifact.facts.items() if key not in ("manifest", "parameters", "vocabulary")}
    assert told == {
        "family": "Qwen2",
        "architecture": "Qwen2ForCausalLM",
        "layers": 2,
        "hidden_size": 64,
        "dtype": "BF16",
        "tied_embeddings": True,
        "context_length": 2048,
        "chat_template": True,
    }
    assert artifact.facts["parameters"] == 2 * 30_976 + 64 + 64 * artifact.facts["vocabulary"]
    (started,) = [event for event in events if isinstance(event, Started)]
    assert [event.done for event in events if isinstance(event, Progress)][-1] == started.total == artifact.size


def test_files_that_have_nothing_to_do_with_it_stay_outside(base: Path, tmp_path: Path) -> None:
    """Pictures and hidden folders are not copied, the licence and the card are; a notice names what was left."""
    for name in ("photo.png", ".git/config", "LICENSE", "README.md"):
        (base / name).parent.mkdir(exist_ok=True)
        (base / name).write_text("x")
    artifact, events = adopted(base, tmp_path / "new")
    assert {"LICENSE", "README.md"} <= artifact.facts["manifest"].keys()
    assert not {"photo.png", ".git/config"} & artifact.facts["manifest"].keys()
    (notice,) = [event for event in events if isinstance(event, Notice)]
    assert (notice.code, notice.parameters) == ("files_left_out", {"count": 1, "names": "photo.png"})


SPOILS: dict[str, tuple[str, Callable[[Path], object]]] = {
    "pickle": ("pickle_in_folder", lambda base: (base / "pytorch_model.bin").write_bytes(pickle.dumps({}))),
    "pickle of another name": ("pickle_in_folder", lambda base: (base / "X.PTH").write_bytes(b"x")),
    "numpy": ("pickle_in_folder", lambda base: (base / "extra.npy").write_bytes(b"\x93NUMPY")),
    "code": ("code_in_folder", lambda base: (base / "modeling_own.py").write_text("import os")),
    "auto_map": ("json_calls_code", lambda base: change(base / "config.json", auto_map={"AutoConfig": "own.Config"})),
    "auto_map of the tokenizer": (
        "json_calls_code",
        lambda base: change(base / "tokenizer_config.json", auto_map={"AutoTokenizer": ["x", None]}),
    ),
    "auto_map deep inside": ("json_calls_code", lambda base: change(base / "generation_config.json", a=[{"b": {"auto_map": "x"}}])),
    "implementation": ("json_calls_code", lambda base: change(base / "config.json", _attn_implementation_internal="x")),
    "kernel of a repository": ("json_calls_code", lambda base: change(base / "config.json", attn_implementation="someone/kernel:run")),
    "trust": ("json_calls_code", lambda base: change(base / "config.json", trust_remote_code=True)),
    "broken JSON": ("json_broken", lambda base: (base / "special.json").write_text("{")),
    "JSON without end": ("json_broken", lambda base: (base / "special.json").write_text("[" * 100_000)),
    "no config": ("file_missing", lambda base: (base / "config.json").unlink()),
    "no tokenizer": ("file_missing", lambda base: (base / "tokenizer.json").unlink()),
    "no weights": ("no_safetensors", lambda base: (base / "model.safetensors").unlink()),
    "foreign architecture": ("family_unknown", lambda base: change(base / "config.json", architectures=["GPT2LMHeadModel"])),
    "numbers that are none": ("config_incomplete", lambda base: change(base / "config.json", hidden_size="much")),
    "text for a number": ("config_unreadable", lambda base: change(base / "config.json", rms_norm_eps="small")),
    "quantized": ("base_quantized", lambda base: change(base / "config.json", quantization_config={"quant_method": "gptq"})),
    "link outside": ("link_leaves_folder", lambda base: (base / "notes.txt").symlink_to("/etc/hostname")),
    "dangling link": ("link_leaves_folder", lambda base: (base / "notes.txt").symlink_to("../../nowhere")),
    "pipe": ("not_a_plain_file", lambda base: os.mkfifo(base / "pipe.txt")),
    "truncated": ("safetensors_truncated", lambda base: os.truncate(base / "model.safetensors", 50_000)),
    "trailing bytes": ("safetensors_header_broken", lambda base: os.truncate(base / "model.safetensors", 10**6)),
    "empty file": ("safetensors_header_broken", lambda base: (base / "model.safetensors").write_bytes(b"")),
    "endless header": ("safetensors_header_broken", lambda base: (base / "model.safetensors").write_bytes(b"\xff" * 8)),
    "other shapes": ("tensor_shape_differs", lambda base: change(base / "config.json", vocab_size=500)),
    "missing tensors": ("tensor_missing", lambda base: change(base / "config.json", num_hidden_layers=3)),
}


@pytest.mark.parametrize(("code", "spoil"), SPOILS.values(), ids=SPOILS.keys())
def test_unsound_base_is_refused(base: Path, tmp_path: Path, code: str, spoil: Callable[[Path], object]) -> None:
    """Each danger and each damage is named, in words of both languages, and nothing is copied."""
    spoil(base)
    assert code in codes(refusal(base, tmp_path / "models" / "new"))


def test_every_problem_is_told_at_once(base: Path, tmp_path: Path) -> None:
    """Five things wrong are five lines of one refusal."""
    (base / "own.py").write_text("")
    (base / "weights.pt").write_bytes(b"")
    (base / "tokenizer.json").unlink()
    change(base / "config.json", auto_map={"AutoModel": "own.Model"}, quantization_config={"bits": 4})
    error = refusal(base, tmp_path / "new")
    assert sorted(codes(error)) == ["base_quantized", "code_in_folder", "file_missing", "json_calls_code", "pickle_in_folder"]
    assert error.parameters["count"] == 5
    assert explain(error, "zh")[0].count("\n  - ") == 5


def test_hundreds_of_tensor_problems_become_a_few_lines(base: Path, tmp_path: Path) -> None:
    """The first eight are listed and the rest is counted."""
    change(base / "config.json", num_hidden_layers=40)
    found = codes(refusal(base, tmp_path / "new"))
    assert len(found) == 9
    assert found[-1] == "more_tensor_problems"


def test_missing_shard_is_named(tmp_path: Path) -> None:
    """The file that the index names and nobody brought is told."""
    base = make_base(tmp_path / "base", shard_bytes="60KB")
    shard = min(base.glob("model-*.safetensors"))
    shard.unlink()
    (problem,) = refusal(base, tmp_path / "new").parameters["problems"]
    assert (problem["code"], problem["shard"]) == ("shard_missing", shard.name)


def test_index_cannot_lead_out_of_the_folder(tmp_path: Path) -> None:
    """A shard's name with a path in it is refused."""
    base = make_base(tmp_path / "base", shard_bytes="60KB")
    index = base / "model.safetensors.index.json"
    index.write_text(index.read_text().replace("model-00001", "../model-00001"))
    assert "json_broken" in codes(refusal(base, tmp_path / "new"))


def test_links_within_the_folder_are_fine(base: Path, tmp_path: Path) -> None:
    """A link to a file of the same folder arrives as that file."""
    (base / "weights").mkdir()
    (base / "model.safetensors").rename(base / "weights" / "real.safetensors")
    (base / "model.safetensors").symlink_to("weights/real.safetensors")
    adopted(base, tmp_path / "new")
    assert not (tmp_path / "new" / "model.safetensors").is_symlink()
    assert screen_base(tmp_path / "new").layers == 2


@pytest.mark.parametrize("name", ["nothing", "nothing.gguf"])
def test_missing_source_is_named(tmp_path: Path, name: str) -> None:
    """A path that leads nowhere is told."""
    assert refusal(tmp_path / name, tmp_path / "new").code == "model_source_missing"


def test_too_little_room_is_said_before_copying(base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk without room stops the copy at once."""
    monkeypatch.setattr("appliance.files.space.KEEP_FREE", 10**18)
    assert refusal(base, tmp_path / "new").code == "disk_too_small"


def test_gguf_file_is_tried_and_described(gguf: Path, tmp_path: Path) -> None:
    """A GGUF file answers in a child process, then it is there, with what its head says."""
    artifact, _ = adopted(gguf, tmp_path / "models" / "new.gguf")
    assert (artifact.role, artifact.sha256) == ("gguf", file_sha256(gguf))
    assert file_sha256(tmp_path / "models" / "new.gguf") == artifact.sha256
    told = {key: artifact.facts[key] for key in ("architecture", "name", "type", "layers", "context_length", "chat_template")}
    expected = {"architecture": "qwen2", "name": "来自外面", "type": "q8_0", "layers": 2, "context_length": 2048, "chat_template": True}
    assert told == expected
    assert artifact.facts["check"]["done"]


@pytest.mark.parametrize(
    ("code", "spoil"),
    [
        ("gguf_not_one", lambda raw: b"PK\x03\x04" + raw),
        ("gguf_not_one", lambda _: b""),
        ("gguf_broken", lambda raw: raw[:20]),
        ("gguf_broken", lambda raw: raw[:5000]),
        ("gguf_broken", lambda raw: raw[:-50_000]),
        ("gguf_broken", lambda raw: raw[:8] + b"\xff" * 8 + raw[16:]),
    ],
)
def test_broken_gguf_file_is_refused(gguf: Path, tmp_path: Path, code: str, spoil: Callable[[bytes], bytes]) -> None:
    """What is no GGUF file, or not a whole one, is told before llama.cpp sees it."""
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(spoil(gguf.read_bytes()))
    assert refusal(broken, tmp_path / "models" / "new.gguf").code == code


def test_screening_needs_no_heavy_library() -> None:
    """Services may screen a base without importing numpy, torch or safetensors."""
    script = (
        "import sys, appliance.files.base_screening\n"
        "heavy = {'numpy', 'torch', 'safetensors', 'transformers', 'gguf'} & set(sys.modules)\n"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    assert (
        subprocess.run([sys.executable, "-c", script], check=False, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}).returncode
        == 0
    )
