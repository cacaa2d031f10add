"""A peft adapter as what it does to each tensor of its base.

Every tensor of its file must have a place here: whatever is not understood is refused by its name, because leaving a part out would give
a model that nobody trained.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from appliance.domain.errors import ApplianceError
from appliance.domain.families.decoder import EMBEDDING, HEAD
from appliance.files.base_screening import WEIGHT_DTYPES, read_json_object
from appliance.files.safetensors_header import StoredTensor, read_header
from appliance.stages.export.base_weights import WeightReader, opened_weights
from appliance.stages.export.updates import LowRankUpdate, ReplacedRows, Scaling, Update

CONFIG_FILE = "adapter_config.json"
WEIGHTS_FILE = "adapter_model.safetensors"

_PREFIX = "base_model.model."

_PARTS = re.compile(
    r"(?P<module>.+?)\.(?:"
    r"lora_(?P<side>[AB])\.weight|lora_embedding_(?P<embedding>[AB])|(?P<magnitude>lora_magnitude_vector)(?:\.weight)?"
    r"|token_adapter\.(?P<tokens>trainable_tokens_delta)|(?P<scaling>ia3_l)|(?P<unused>original_module\.(?:weight|bias))"
    r"|(?:(?:token_adapter\.)?base_layer\.|modules_to_save\.)?(?P<whole>weight|bias))"
)
"""A tensor's name without the prefix: which module, and which part of what is done to it."""

_OTHER_METHODS = (
    "use_qalora", "target_parameters", "layer_replication", "lora_bias", "fan_in_fan_out", "alora_invocation_tokens", "arrow_config",
    "use_bdlora",
)  # fmt: skip
"""Settings of peft's LoRA that change what the update is, and that are not merged here; truthy means used."""

_INITIALISATIONS_THAT_KEEP_THE_BASE = (True, False, None, "gaussian", "eva", "orthogonal")
"""Others (PiSSA, OLoRA, LoftQ, CorDA) change the base itself, which then is not the one at hand."""


@dataclass(frozen=True)
class Change:
    """What an adapter does to one tensor."""

    stored: StoredTensor | None = None
    """Takes the place of the base's: a module that was trained whole."""
    update: Update | None = None

    def shape(self, base: StoredTensor) -> tuple[int, ...]:
        """The tensor's shape afterwards: rows of new tokens may have come behind the base's."""
        rows, *columns = (self.stored or base).shape
        return (self.update.rows_of(rows) if isinstance(self.update, ReplacedRows) else rows, *columns)


@dataclass(frozen=True)
class Adapter:
    """All changes of an adapter; without any it is the base itself."""

    changes: Mapping[str, Change] = field(default_factory=dict)
    """By transformers' full tensor name."""
    tensors: Mapping[str, StoredTensor] = field(default_factory=dict)
    """The tensors of its file, for opening it."""
    unties: bool = False
    """Whether embedding and head, one tensor in the base, have become two."""


def read_adapter(folder: Path, base: Mapping[str, StoredTensor]) -> Adapter:
    """The adapter in ``folder`` for a base of these tensors.

    Raises ``adapter_file_missing``, ``adapter_part_unsupported``, ``adapter_not_finite``, or, when the adapter belongs to another base,
    ``adapter_module_unknown`` and ``adapter_shape_differs`` with the name.
    """
    for name in (CONFIG_FILE, WEIGHTS_FILE):
        if not (folder / name).is_file():
            raise ApplianceError("adapter_file_missing", path=str(folder), name=name)
    config = read_json_object(folder / CONFIG_FILE)
    refuse_other_methods(config)
    stored = read_header(folder / WEIGHTS_FILE)
    parts = _parts(stored)
    _refuse_missing_parts(config, parts)
    # A tied head is no tensor of the base: where the adapter changes it, it is the embedding that it began as.
    is_tied = HEAD not in base
    known = {**base, HEAD: base[EMBEDDING]} if is_tied else base
    changes: dict[str, Change] = {}
    with opened_weights(stored) as reader:
        for module, found in parts.items():
            _refuse_not_finite(module, found.values(), reader)
            changes |= _changes_of(module, found, config, known)
    unties = is_tied and _embedding_and_head_part(config, changes)
    if is_tied and not unties:
        changes.pop(HEAD, None)  # a copy, or what is done to the embedding once more
    if unties:
        changes.setdefault(HEAD, Change())
    _refuse_differing_rows(changes, known)
    return Adapter(changes, stored, unties)


def refuse_other_methods(config: Mapping[str, Any]) -> None:
    """Raise ``adapter_part_unsupported`` with what an adapter's configuration uses and nothing here can merge."""
    if config.get("peft_type") not in ("LORA", "IA3"):
        raise ApplianceError("adapter_part_unsupported", part=str(config.get("peft_type")))
    for key in _OTHER_METHODS:
        if config.get(key):
            raise ApplianceError("adapter_part_unsupported", part=key)
    if config.get("init_lora_weights") not in _INITIALISATIONS_THAT_KEEP_THE_BASE:
        raise ApplianceError("adapter_part_unsupported", part=f"init_lora_weights={config['init_lora_weights']}")


def _parts(stored: Mapping[str, StoredTensor]) -> dict[str, dict[str, StoredTensor]]:
    """Module → part → tensor; parts are ``A``, ``B``, ``embedding_A``, ``embedding_B``, ``magnitude``, ``tokens``, ``scaling``,
    ``weight``, ``bias``."""
    modules: dict[str, dict[str, StoredTensor]] = {}
    for name, tensor in stored.items():
        found = _PARTS.fullmatch(name.removeprefix(_PREFIX)) if name.startswith(_PREFIX) else None
        if found is None or tensor.dtype not in WEIGHT_DTYPES:
            raise ApplianceError("adapter_part_unsupported", part=name)
        if found["unused"]:
            continue
        part = found["side"] or (found["embedding"] and f"embedding_{found['embedding']}") or found["whole"]
        part = part or next(kind for kind in ("magnitude", "tokens", "scaling") if found[kind])
        modules.setdefault(found["module"], {})[part] = tensor
    if not modules:
        raise ApplianceError("adapter_part_unsupported", part=WEIGHTS_FILE)
    return modules


def _refuse_missing_parts(config: Mapping[str, Any], parts: Mapping[str, Mapping[str, StoredTensor]]) -> None:
    """What the configuration says was trained must be in the file."""
    whole = {module.rpartition(".")[2] for module, found in parts.items() if found.keys() & {"weight", "bias"}}
    for name in config.get("modules_to_save") or ():
        if str(name).rpartition(".")[2] not in whole:
            raise ApplianceError("adapter_part_unsupported", part=f"modules_to_save: {name}")
    if config.get("trainable_token_indices") and not any("tokens" in found for found in parts.values()):
        raise ApplianceError("adapter_part_unsupported", part="trainable_token_indices")


def _changes_of(
    module: str, parts: Mapping[str, StoredTensor], config: Mapping[str, Any], base: Mapping[str, StoredTensor]
) -> dict[str, Change]:
    changes: dict[str, Change] = {}
    for whole in ("weight", "bias"):
        if whole in parts:
            name = f"{module}.{whole}"
            _refuse_other_shape(name, parts[whole], base)
            changes[name] = Change(parts[whole])
    name = f"{module}.weight"
    if parts.keys() - {"weight", "bias"}:
        weight = parts.get("weight") or base.get(name)
        if weight is None or len(weight.shape) != 2:
            raise ApplianceError("adapter_module_unknown", module=module)
        update = _update_of(module, parts, config, weight)
        changes[name] = Change(parts.get("weight"), update)
        bias = f"{module}.bias"
        if isinstance(update, Scaling) and not update.of_columns and bias in base:  # it is put out as well
            changes[bias] = Change(parts.get("bias"), update)
    return changes


def _update_of(module: str, parts: Mapping[str, StoredTensor], config: Mapping[str, Any], weight: StoredTensor) -> Update:
    kinds = parts.keys() - {"weight", "bias"}
    if ("scaling" in kinds) != (config.get("peft_type") == "IA3"):
        raise ApplianceError("adapter_part_unsupported", part=f"{module}: peft_type")
    if kinds == {"tokens"}:
        return _replaced_rows(module, parts["tokens"], config, weight)
    if kinds == {"scaling"}:
        return _scaling(module, parts["scaling"], config, weight)
    is_embedding = kinds == {"embedding_A", "embedding_B"}
    if not is_embedding and kinds - {"magnitude"} != {"A", "B"}:
        raise ApplianceError("adapter_part_unsupported", part=f"{module}: {', '.join(sorted(kinds))}")
    if bool(config.get("use_dora")) != ("magnitude" in parts):
        raise ApplianceError("adapter_part_unsupported", part=f"{module}: use_dora")
    down, up = (parts[f"embedding_{side}" if is_embedding else side] for side in "AB")
    rank = int(_of_pattern("rank_pattern", config, module, config.get("r", 0)))
    alpha = float(_of_pattern("alpha_pattern", config, module, config.get("lora_alpha", 0)))
    rows, columns = weight.shape
    found: list[tuple[int, ...]] = [down.shape, up.shape]
    expected: list[tuple[int, ...]] = [(rank, rows), (columns, rank)] if is_embedding else [(rank, columns), (rows, rank)]
    magnitude = parts.get("magnitude")
    if magnitude is not None:
        found, expected = [*found, magnitude.shape], [*expected, (rows,)]
    if found != expected or rank <= 0:
        raise ApplianceError("adapter_shape_differs", module=module, expected=_shown(expected), found=_shown(found))
    scaling = alpha / (math.sqrt(rank) if config.get("use_rslora") else rank)
    return LowRankUpdate(down, up, scaling, magnitude, is_embedding)


def _scaling(module: str, factors: StoredTensor, config: Mapping[str, Any], weight: StoredTensor) -> Scaling:
    """(IA)³: a layer is scaled at its inputs where the configuration names it, by peft's rule for names, else at its outputs."""
    told = config.get("feedforward_modules") or ()
    try:
        of_columns = bool(re.fullmatch(told, module)) if isinstance(told, str) else any(module.endswith(str(name)) for name in told)
    except re.error:
        raise ApplianceError("adapter_part_unsupported", part="feedforward_modules") from None
    rows, columns = weight.shape
    expected = (1, columns) if of_columns else (rows, 1)
    if factors.shape != expected:
        raise ApplianceError("adapter_shape_differs", module=module, expected=_shown([expected]), found=_shown([factors.shape]))
    return Scaling(factors, of_columns)


def _replaced_rows(module: str, values: StoredTensor, config: Mapping[str, Any], weight: StoredTensor) -> ReplacedRows:
    """Trained tokens: peft names their ids in its configuration, as a list for the embedding or by the end of a module's name."""
    told = config.get("trainable_token_indices")
    if isinstance(told, Mapping):
        told = next((numbers for name, numbers in told.items() if module == name or module.endswith(f".{name}")), None)
        # Of a tied head only the embedding is named.
        told = told or next(iter((config["trainable_token_indices"] or {}).values()), None)
    if not isinstance(told, list) or not all(isinstance(number, int) and number >= 0 for number in told):
        raise ApplianceError("adapter_part_unsupported", part="trainable_token_indices")
    expected = (len(told), weight.shape[1])
    if values.shape != expected:
        raise ApplianceError("adapter_shape_differs", module=module, expected=_shown([expected]), found=_shown([values.shape]))
    replaced = ReplacedRows(tuple(told), values)
    missing = max(told, default=-1) + 1
    if missing > replaced.rows_of(weight.shape[0]):
        raise ApplianceError("adapter_shape_differs", module=module, expected=_shown([(missing,)]), found=_shown([weight.shape[:1]]))
    return replaced


def _embedding_and_head_part(config: Mapping[str, Any], changes: Mapping[str, Change]) -> bool:
    """Whether training gave the embedding and a head tied to it different weights."""
    if config.get("ensure_weight_tying"):
        return False
    saved = {str(name).rpartition(".")[2] for name in config.get("modules_to_save") or ()}
    alone = any(isinstance(changes[name].update, LowRankUpdate | Scaling) for name in (EMBEDDING, HEAD) if name in changes)
    return alone or bool(saved & {"embed_tokens", "lm_head"})


def _refuse_other_shape(name: str, tensor: StoredTensor, base: Mapping[str, StoredTensor]) -> None:
    """A module that was saved whole has the base's shape; only embedding and head may have other rows, where tokens were added."""
    weight = base.get(name)
    if weight is None:
        raise ApplianceError("adapter_module_unknown", module=name)
    free = 1 if name in (EMBEDDING, HEAD) else 0
    if tensor.shape[free:] != weight.shape[free:] or len(tensor.shape) != len(weight.shape):
        raise ApplianceError("adapter_shape_differs", module=name, expected=_shown([weight.shape]), found=_shown([tensor.shape]))


def _refuse_differing_rows(changes: Mapping[str, Change], base: Mapping[str, StoredTensor]) -> None:
    """Embedding and head have a row for every token, both."""
    rows = {name: changes.get(name, Change()).shape(base[name]) for name in (EMBEDDING, HEAD)}
    if HEAD in changes or EMBEDDING in changes:
        head_follows = HEAD not in changes and base[HEAD] is base[EMBEDDING]
        if rows[EMBEDDING] != rows[HEAD] and not head_follows:
            expected, found = _shown([rows[EMBEDDING]]), _shown([rows[HEAD]])
            raise ApplianceError("adapter_shape_differs", module=HEAD, expected=expected, found=found)


def _refuse_not_finite(module: str, tensors: Iterable[StoredTensor], reader: WeightReader) -> None:
    for tensor in tensors:
        step = max(1, (1 << 21) // max(1, math.prod(tensor.shape[1:])))
        for start in range(0, tensor.shape[0], step):
            if not np.isfinite(reader.rows(tensor, start, min(start + step, tensor.shape[0]))).all():
                raise ApplianceError("adapter_not_finite", module=module)


def _of_pattern(key: str, config: Mapping[str, Any], module: str, default: Any) -> Any:
    """The value for a module: the first pattern that is the end of its name as a regular expression (peft's rule), or the default."""
    try:
        return next((value for pattern, value in (config.get(key) or {}).items() if re.match(rf"(.*\.)?({pattern})$", module)), default)
    except (re.error, AttributeError):
        raise ApplianceError("adapter_part_unsupported", part=key) from None


def _shown(shapes: Iterable[tuple[int, ...]]) -> str:
    return " · ".join("×".join(str(size) for size in shape) for shape in shapes)
