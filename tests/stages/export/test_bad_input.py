"""What people bring that cannot be exported: one sentence that names it, and nothing half-written."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from safetensors.torch import load_file, save_file

from appliance.domain.errors import ApplianceError, ExitCode
from appliance.domain.event import Event, Progress
from appliance.domain.spec import ExportSpec
from appliance.stages.export import run
from appliance.texts.speech import LANGUAGES, explain
from tests.stages.export.conftest import Export
from tests.stages.export.test_check import edited_json
from tests.stages.export.tiny_base import make_adapter, make_base

WEIGHTS = "model.safetensors"
ADAPTER = "adapter_model.safetensors"


def change_tensor(path: Path, name: str, change: Callable[[torch.Tensor], torch.Tensor | None]) -> None:
    """Replace one tensor of a file; None takes it away."""
    weights = load_file(path)
    changed = change(weights.pop(name))
    if changed is not None:
        weights[name] = changed
    save_file(weights, path, {"format": "pt"})


def with_value(value: float) -> Callable[[torch.Tensor], torch.Tensor]:
    """A change of one number."""

    def changed(tensor: torch.Tensor) -> torch.Tensor:
        tensor.view(-1)[7] = value
        return tensor

    return changed


def lie_about_shape(path: Path) -> None:
    """A header whose first tensor is larger than its bytes."""
    raw = path.read_bytes()
    size = int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8 : 8 + size])
    name = next(name for name in header if name != "__metadata__")
    header[name]["shape"][0] += 1
    changed = json.dumps(header).encode()
    path.write_bytes(len(changed).to_bytes(8, "little") + changed + raw[8 + size :])


class Case(NamedTuple):
    """One way to spoil a base and its adapter."""

    code: str
    spoil: Callable[[Path, Path], object]
    told: dict[str, Any]


def config(**changes: Any) -> Callable[[Path, Path], None]:
    """Change keys of the base's config."""
    return lambda base, _: edited_json(base / "config.json", lambda content: content.update(changes))


def adapter_config(**changes: Any) -> Callable[[Path, Path], None]:
    """Change keys of the adapter's config."""
    return lambda _, adapter: edited_json(adapter / "adapter_config.json", lambda content: content.update(changes))


def tokenizer(change: Callable[[dict[str, Any]], object]) -> Callable[[Path, Path], None]:
    """Change the tokenizer."""
    return lambda base, _: edited_json(base / "tokenizer.json", change)


def base_tensor(name: str, change: Callable[[torch.Tensor], torch.Tensor | None]) -> Callable[[Path, Path], None]:
    """Change a tensor of the base."""
    return lambda base, _: change_tensor(base / WEIGHTS, name, change)


Q = "model.layers.1.self_attn.q_proj"
CASES: dict[str, Case] = {
    "unknown family": Case("family_unknown", config(architectures=["GPTNeoXForCausalLM"]), {"architecture": "GPTNeoXForCausalLM"}),
    "no architecture": Case("family_unknown", config(architectures=None), {}),
    "incomplete config": Case("config_incomplete", config(hidden_size=None), {"key": "hidden_size"}),
    "foreign activation": Case("config_unsupported", config(hidden_act="gelu"), {"key": "hidden_act", "value": "gelu"}),
    "foreign rotation": Case("config_unsupported", config(rope_parameters={"rope_type": "longrope"}), {"value": "longrope"}),
    "config is no JSON": Case("json_broken", lambda base, _: (base / "config.json").write_text("{"), {}),
    "no tokenizer": Case("file_missing", lambda base, _: (base / "tokenizer.json").unlink(), {"name": "tokenizer.json"}),
    "foreign tokenizer": Case("tokenizer_unsupported", tokenizer(lambda told: told["model"].update(type="Unigram")), {}),
    "foreign pre-tokenizer": Case("tokenizer_unsupported", tokenizer(lambda told: told.update(pre_tokenizer={"type": "Metaspace"})), {}),
    "foreign normalizer": Case("tokenizer_unsupported", tokenizer(lambda told: told.update(normalizer={"type": "NFKC"})), {}),
    "too many tokens": Case(
        "tokenizer_larger_than_model", tokenizer(lambda told: told["model"]["vocab"].update(zz=99_999)), {"id": 99_999}
    ),
    "no weights": Case("no_safetensors", lambda base, _: (base / WEIGHTS).unlink(), {}),
    "truncated weights": Case(
        "safetensors_truncated", lambda base, _: (base / WEIGHTS).write_bytes((base / WEIGHTS).read_bytes()[:-9]), {}
    ),
    "no header": Case("safetensors_header_broken", lambda base, _: (base / WEIGHTS).write_bytes(b"\xff" * 99), {}),
    "lying header": Case("safetensors_tensor_lies", lambda base, _: lie_about_shape(base / WEIGHTS), {}),
    "missing tensor": Case("base_broken", base_tensor("model.norm.weight", lambda _: None), {"count": 1}),
    "shape differs": Case("base_broken", base_tensor("lm_head.weight", lambda old: old[:-1].clone()), {"count": 1}),
    "integers": Case("base_broken", base_tensor("lm_head.weight", lambda old: old.to(torch.int8)), {"count": 1}),
    "NaN": Case("weights_not_finite", base_tensor(f"{Q}.weight", with_value(float("nan"))), {"tensor": "blk.1.attn_q.weight"}),
    "infinite norm": Case(
        "weights_not_finite", base_tensor("model.norm.weight", with_value(float("inf"))), {"tensor": "output_norm.weight"}
    ),
    "too large for its type": Case("quantized_invalid", base_tensor(f"{Q}.weight", with_value(3e38)), {"tensor": "blk.1.attn_q.weight"}),
    "no adapter": Case("adapter_file_missing", lambda _, adapter: (adapter / ADAPTER).unlink(), {"name": ADAPTER}),
    "no adapter config": Case("adapter_file_missing", lambda _, adapter: (adapter / "adapter_config.json").unlink(), {}),
    "missing magnitude": Case(
        "adapter_part_unsupported", adapter_config(use_dora=True), {"part": "model.layers.0.mlp.down_proj: use_dora"}
    ),
    "missing module": Case("adapter_part_unsupported", adapter_config(modules_to_save=["lm_head"]), {"part": "modules_to_save: lm_head"}),
    "missing tokens": Case("adapter_part_unsupported", adapter_config(trainable_token_indices=[3]), {"part": "trainable_token_indices"}),
    "other method": Case("adapter_part_unsupported", adapter_config(peft_type="VERA"), {"part": "VERA"}),
    "parts of another": Case(
        "adapter_part_unsupported", adapter_config(peft_type="IA3"), {"part": "model.layers.0.mlp.down_proj: peft_type"}
    ),
    "changed base": Case("adapter_part_unsupported", adapter_config(init_lora_weights="pissa"), {"part": "init_lora_weights=pissa"}),
    "broken pattern": Case("adapter_part_unsupported", adapter_config(rank_pattern={"(": 3}), {"part": "rank_pattern"}),
    "other rank": Case("adapter_shape_differs", adapter_config(r=5), {}),
    "NaN adapter": Case(
        "adapter_not_finite",
        lambda _, adapter: change_tensor(adapter / ADAPTER, f"base_model.model.{Q}.lora_A.weight", with_value(float("nan"))),
        {"module": Q},
    ),
}


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A base and an adapter that belong together."""
    base = make_base(tmp_path_factory.mktemp("sound") / "base")
    return base, make_adapter(base.with_name("adapter"), base)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_spoilt_input_is_named_and_leaves_nothing(sound: tuple[Path, Path], tmp_path: Path, case: Case) -> None:
    """The error has the expected code and names the culprit, has words in both languages, and no file appears."""
    base, adapter = tmp_path / "base", tmp_path / "adapter"
    for source, copy in zip(sound, (base, adapter), strict=True):
        shutil.copytree(source, copy)
    case.spoil(base, adapter)
    results = tmp_path / "results"
    with pytest.raises(ApplianceError) as caught:
        run(ExportSpec(base=str(base), adapter=str(adapter), output=str(results / "model.gguf")), lambda _event: None)
    error = caught.value
    assert error.code == case.code
    assert case.told.items() <= error.parameters.items()
    assert not results.exists() or not list(results.iterdir())
    for language in LANGUAGES:
        message, hint = explain(error, language)
        assert "{" not in message.replace("{'", "").replace("\\p{", "")
        assert error.code not in message
        assert hint


def test_missing_shard_is_named(tmp_path: Path) -> None:
    """The index tells which file is not there."""
    base = make_base(tmp_path / "base", shard_bytes="60KB")
    shard = sorted(base.glob("model-*.safetensors"))[1]
    shard.unlink()
    with pytest.raises(ApplianceError) as caught:
        run(ExportSpec(base=str(base), output=str(tmp_path / "model.gguf")), lambda _event: None)
    assert (caught.value.code, caught.value.parameters["shard"]) == ("shard_missing", shard.name)


@pytest.mark.parametrize(
    ("shape", "code"), [({"hidden_size": 128}, "adapter_shape_differs"), ({"num_hidden_layers": 1}, "adapter_module_unknown")]
)
def test_adapter_of_another_base_is_named(sound: tuple[Path, Path], tmp_path: Path, shape: dict[str, Any], code: str) -> None:
    """Whether shapes or depth differ: the layer is named."""
    other = make_base(tmp_path / "other", **shape)
    with pytest.raises(ApplianceError) as caught:
        run(ExportSpec(base=str(other), adapter=str(sound[1]), output=str(tmp_path / "model.gguf")), lambda _event: None)
    assert caught.value.code == code
    assert caught.value.parameters["module"].startswith("model.layers.")


@pytest.mark.parametrize("form", ["gguf", "merged"])
def test_too_little_room_is_said_before_anything_is_written(
    sound: tuple[Path, Path], tmp_path: Path, form: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk without room stops the export at once, with the bytes needed."""
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: shutil._ntuple_diskusage(10**9, 10**9 - 2**26, 2**26))
    results = tmp_path / "results"
    with pytest.raises(ApplianceError) as caught:
        run(ExportSpec(base=str(sound[0]), output=str(results / "model"), form=form), lambda _event: None)
    assert (caught.value.code, caught.value.exit_code) == ("disk_too_small", ExitCode.NO_ROOM)
    assert caught.value.parameters["needed"] > 2**26
    assert not results.exists()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 200 kilobytes."""
    place = tmp_path / "small"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", place], check=True)
    yield place
    subprocess.run(["umount", "--lazy", place], check=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small file system")
@pytest.mark.parametrize("form", ["gguf", "merged", "adapter"])
def test_a_disk_that_fills_half_way_is_named_and_left_clean(small_disk: Path, form: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Room that was there when it was asked for is gone: the error says so, and every byte is free again."""
    monkeypatch.setattr("appliance.stages.export.require_space", lambda _place, _needed: None)
    base = make_base(small_disk.with_name("base"), hidden_size=128)
    adapter = make_adapter(small_disk.with_name("adapter"), base, r=64)
    free = shutil.disk_usage(small_disk).free
    with pytest.raises(ApplianceError) as caught:
        run(ExportSpec(base=str(base), adapter=str(adapter), output=str(small_disk / "model"), form=form), lambda _event: None)
    assert (caught.value.code, caught.value.exit_code) == ("disk_full", ExitCode.NO_ROOM)
    assert list(small_disk.iterdir()) == []
    assert shutil.disk_usage(small_disk).free == free


@pytest.mark.parametrize("form", ["gguf", "merged", "adapter"])
def test_stopping_half_way_leaves_nothing(sound: tuple[Path, Path], tmp_path: Path, form: Any) -> None:
    """Whatever ends the stage in the middle of writing, no file or folder is left."""

    class StoppedHereError(BaseException):
        pass

    def emit(event: Event) -> None:
        if isinstance(event, Progress):
            raise StoppedHereError

    results = tmp_path / "results"
    results.mkdir()
    with pytest.raises(StoppedHereError):
        run(ExportSpec(base=str(sound[0]), adapter=str(sound[1]), output=str(results / "model"), form=form), emit)
    assert list(results.iterdir()) == []


def test_merged_f16_that_overflows_is_refused(export: Export, tmp_path: Path) -> None:
    """A sum that f16 cannot hold is named instead of becoming infinite."""
    base = make_base(tmp_path / "base", dtype=torch.float16)
    adapter = make_adapter(tmp_path / "adapter", base, scale=300.0)
    with pytest.raises(ApplianceError, match="quantized_invalid"):
        export(base, adapter, form="merged", output=tmp_path / "merged")
