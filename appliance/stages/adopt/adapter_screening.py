"""Looking at a peft adapter's folder before anything in it is loaded: is it only weights and words, and does it belong to its base?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from appliance.domain.errors import ApplianceError
from appliance.files.base_screening import named_problem, read_json_object, unsafe_contents
from appliance.stages.export.adapter import CONFIG_FILE, WEIGHTS_FILE
from appliance.stages.export.plan import Sum, read_base, sum_of
from appliance.stages.export.updates import LowRankUpdate, ReplacedRows, Scaling

TOKENIZER = "tokenizer.json"


def screen_adapter(folder: Path, base: Path) -> dict[str, Any]:
    """Facts about the adapter; raises ``adapter_refused`` with every problem at once, among them in what it differs from the base."""
    problems = [*unsafe_contents(folder)]
    problems += [{"code": "file_missing", "name": name} for name in (CONFIG_FILE, WEIGHTS_FILE) if not (folder / name).is_file()]
    facts: dict[str, Any] = {}
    if not problems:  # only what is safe is read on
        try:
            facts = _facts(sum_of(read_base(base), folder), read_json_object(folder / CONFIG_FILE))
        except ApplianceError as error:
            problems.append(named_problem(error))
    if not problems and (folder / TOKENIZER).is_file():
        problems += _other_tokens(folder / TOKENIZER, base / TOKENIZER)
    if problems:
        raise ApplianceError("adapter_refused", path=str(folder), count=len(problems), problems=problems)
    return facts


def _facts(model: Sum, config: Mapping[str, Any]) -> dict[str, Any]:
    changed = [tensor for name, tensor in model.tensors.items() if tensor.source is not model.base.tensors.get(name)]
    updates = [tensor.update for tensor in model.tensors.values() if tensor.update is not None]
    low_rank = [update for update in updates if isinstance(update, LowRankUpdate)]
    scaled = {update.factors for update in updates if isinstance(update, Scaling)}  # a layer's weight and its bias share them
    parts = [matrix for update in low_rank for matrix in (update.down, update.up)] + [tensor.source for tensor in changed] + [*scaled]
    return {
        "method": _method(config),
        "rank": config.get("r"),
        "alpha": config.get("lora_alpha"),
        "modules": len(low_rank) + len(scaled),
        "whole_tensors": len(changed),
        "trained_tokens": sum(len(update.numbers) for update in updates if isinstance(update, ReplacedRows)),
        "parameters": sum(part.elements for part in parts),
        "added_tokens": model.config["vocab_size"] - model.base.config["vocab_size"],
        "named_base": str(config.get("base_model_name_or_path") or ""),
        "family": model.base.family.name,
        "quantized_base": False,
    }


def _method(config: Mapping[str, Any]) -> str:
    if config.get("peft_type") == "IA3":
        return "ia3"
    return "dora" if config.get("use_dora") else "rslora" if config.get("use_rslora") else "lora"


def _other_tokens(ours: Path, bases: Path) -> Iterator[dict[str, Any]]:
    """The first token of the base that the adapter's tokenizer has otherwise; tokens behind the base's are its own affair."""
    try:
        theirs, known = _by_id(ours), _by_id(bases)
    except ApplianceError as error:
        yield named_problem(error)
        return
    for number, token in sorted(known.items()):
        if theirs.get(number) != token:
            yield {"code": "adapter_tokenizer_differs", "id": number, "base": token, "adapter": theirs.get(number, "-")}
            return


def _by_id(path: Path) -> dict[int, str]:
    definition = read_json_object(path)
    try:
        vocabulary = {int(number): str(token) for token, number in definition["model"]["vocab"].items()}
        return vocabulary | {int(token["id"]): str(token["content"]) for token in definition.get("added_tokens") or []}
    except (KeyError, TypeError, ValueError, AttributeError):
        raise ApplianceError("json_broken", path=str(path)) from None
