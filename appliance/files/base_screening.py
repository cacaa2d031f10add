"""Looking at a base's folder before anything in it is loaded: is it only weights and words, and is it whole?

Knows no tensor library: JSON and headers are all it reads, so that services may use it too.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from appliance.domain.errors import ApplianceError
from appliance.domain.families import family_of, tensor_problems
from appliance.domain.families.decoder import embeddings_are_tied
from appliance.domain.family import Config, Family
from appliance.files.safetensors_header import StoredTensor, tensors_of_folder

CODE_SUFFIXES = frozenset({".py", ".pyc", ".so", ".dll", ".sh"})
PICKLE_SUFFIXES = frozenset({".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".npy", ".npz", ".joblib", ".h5", ".msgpack"})
"""Kinds of files that hold Python objects or can: loading them can run what they bring."""

WEIGHT_DTYPES = frozenset({"F32", "F16", "BF16"})

TOKENIZERS = ("tokenizer.json", "tokenizer.model")
"""Either says how text becomes tokens; the second is turned into the first when a base comes in."""

LARGEST_JSON = 256 << 20

_CODE_KEYS = re.compile(r"auto_map|trust_remote_code|custom_pipelines|custom_code|_?\w*_implementation\w*_internal")
_IMPLEMENTATION_KEY = re.compile(r"_?\w*_implementation")


class BaseFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What a sound base is, as its row in the registry keeps it."""

    family: str
    architecture: str
    parameters: int
    layers: int
    hidden_size: int
    vocabulary: int
    """Rows of the embedding, padding included."""
    dtype: str
    """Of most parameters: ``BF16``, ``F16`` or ``F32``."""
    tied_embeddings: bool
    context_length: int
    chat_template: bool


def screen_base(folder: Path) -> BaseFacts:
    """What the base in ``folder`` is; raises ``base_refused`` with every problem at once when it should not be loaded."""
    if not folder.is_dir():
        raise ApplianceError("base_not_a_folder", path=str(folder))
    problems = [*unsafe_contents(folder)]
    wanted = {"config.json": ("config.json",), "tokenizer.json": TOKENIZERS}
    problems += [
        {"code": "file_missing", "name": name} for name, any_of in wanted.items() if not any((folder / one).is_file() for one in any_of)
    ]
    config = _config_of(folder)
    family = _family_of(config, problems)
    tensors = _tensors_of(folder, problems)
    if config.get("quantization_config"):
        problems.append({"code": "base_quantized"})
    if family is not None:
        problems += _contradictions(family, config, tensors)
    if problems or family is None:
        raise ApplianceError("base_refused", path=str(folder), count=len(problems), problems=problems)
    return _facts(folder, family, config, tensors)


def unsafe_contents(folder: Path) -> Iterator[dict[str, Any]]:
    """Files and settings through which a folder could run code or reach outside itself, each as ``{"code", ...}``."""
    root = folder.resolve()
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink() and not path.resolve().is_relative_to(root):
            yield {"code": "link_leaves_folder", "name": name}
        elif not path.is_file():
            if not path.is_dir():
                yield {"code": "not_a_plain_file", "name": name}
        elif path.suffix.lower() in CODE_SUFFIXES:
            yield {"code": "code_in_folder", "name": name}
        elif path.suffix.lower() in PICKLE_SUFFIXES:
            yield {"code": "pickle_in_folder", "name": name}
        elif path.suffix.lower() == ".json":
            yield from _unsafe_json(path, name)


def read_json_object(path: Path) -> dict[str, Any]:
    """A JSON file that must be an object; raises ``json_broken`` for anything else."""
    try:
        found = json.loads(path.read_bytes()) if path.stat().st_size <= LARGEST_JSON else None
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise ApplianceError("json_broken", path=str(path))
    return found


def _unsafe_json(path: Path, name: str) -> Iterator[dict[str, Any]]:
    try:
        content = json.loads(path.read_bytes()) if path.stat().st_size <= LARGEST_JSON else None
    except (ValueError, RecursionError):
        content = None
    if content is None:
        yield {"code": "json_broken", "path": name}
        return
    for key, value in _pairs(content):
        # A kernel can be named as "repository" or "repository:function": both fetch code.
        names_a_kernel = _IMPLEMENTATION_KEY.fullmatch(key) is not None and isinstance(value, str) and re.search(r"[/:@]", value)
        if (_CODE_KEYS.fullmatch(key) and value not in (None, False)) or names_a_kernel:
            yield {"code": "json_calls_code", "name": name, "key": key}


def _pairs(content: Any) -> Iterator[tuple[str, Any]]:
    waiting = [content]
    while waiting:
        found = waiting.pop()
        if isinstance(found, dict):
            yield from found.items()
            waiting.extend(value for value in found.values() if isinstance(value, dict | list))
        elif isinstance(found, list):
            waiting.extend(value for value in found if isinstance(value, dict | list))


def _config_of(folder: Path) -> dict[str, Any]:
    try:
        return read_json_object(folder / "config.json")
    except (OSError, ApplianceError):
        return {}  # already among the problems


def _family_of(config: Config, problems: list[dict[str, Any]]) -> Family | None:
    if not config:
        return None
    try:
        family = family_of(config)
        family.metadata(config)
        family.tensors(config)
        family.computed_tensors(config)
    except ApplianceError as error:
        problems.append(named_problem(error))
    except (TypeError, ValueError, ArithmeticError):
        problems.append({"code": "config_unreadable"})
    else:
        return family
    return None


def _tensors_of(folder: Path, problems: list[dict[str, Any]]) -> dict[str, StoredTensor]:
    try:
        return tensors_of_folder(folder)
    except ApplianceError as error:
        told = named_problem(error)
        if told not in problems:
            problems.append(told)
    return {}


def _contradictions(family: Family, config: Config, tensors: dict[str, StoredTensor]) -> list[dict[str, Any]]:
    if not tensors:
        return []
    problems = tensor_problems(family, config, {name: tensor.shape for name, tensor in tensors.items()})
    foreign = [name for name, tensor in tensors.items() if family.gguf_name(name) and tensor.dtype not in WEIGHT_DTYPES]
    problems += [{"code": "dtype_unsupported", "tensor": name, "dtype": tensors[name].dtype} for name in foreign]
    if len(problems) > 8:  # the first few tell the story of hundreds
        problems = [*problems[:8], {"code": "more_tensor_problems", "count": len(problems) - 8}]
    return problems


def named_problem(error: ApplianceError) -> dict[str, Any]:
    """An error as one line of a refusal, with the name of its file only."""
    parameters = dict(error.parameters)
    if "path" in parameters:
        parameters["path"] = Path(parameters["path"]).name
    return {"code": error.code, **parameters}


def _facts(folder: Path, family: Family, config: Config, tensors: dict[str, StoredTensor]) -> BaseFacts:
    used = [tensors[name] for name in family.tensors(config)]
    by_dtype: Counter[str] = Counter()
    for tensor in used:
        by_dtype[tensor.dtype] += tensor.elements
    metadata = family.metadata(config)
    return BaseFacts(
        family=family.name,
        architecture=str(config["architectures"][0]),
        parameters=sum(by_dtype.values()),
        layers=int(metadata["block_count"]),
        hidden_size=int(metadata["embedding_length"]),
        vocabulary=int(config["vocab_size"]),
        dtype=by_dtype.most_common(1)[0][0],
        tied_embeddings=embeddings_are_tied(config),
        context_length=int(metadata["context_length"]),
        chat_template=has_chat_template(folder),
    )


def has_chat_template(folder: Path) -> bool:
    """Whether a folder brings a chat template of its own."""
    if (folder / "chat_template.jinja").is_file() or (folder / "chat_template.json").is_file():
        return True
    settings = folder / "tokenizer_config.json"
    return settings.is_file() and bool(read_json_object(settings).get("chat_template"))
