"""Loading a base that is in NF4 already: transformers makes the model, its tensors go straight to their places.

transformers compares every tensor's name with the renamings of all models it knows, and starts every matrix with random numbers that
are replaced at once; for an entry of the NF4 cache, whose names are the model's own, both are left out. Everything else is transformers'
own work, and the model is the same bit for bit.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from transformers import PreTrainedModel, initialization, modeling_utils
from transformers.core_model_loading import set_param_for_module
from transformers.utils.loading_report import LoadStateDictInfo

from appliance.stages.language_model.lean_bitsandbytes import bitsandbytes

_WEIGHT = ".weight"


@contextmanager
def tensors_put_in_place() -> Iterator[None]:
    """The block in which ``from_pretrained`` loads a base that was quantized by the same version of transformers.

    Raises whatever transformers or bitsandbytes raise when the folder is not of that kind.
    """
    contexts_of = PreTrainedModel.__dict__["get_init_context"].__func__

    def without_random_numbers(model_class: Any, *choices: Any, **more: Any) -> Any:
        return [*contexts_of(model_class, *choices, **more), initialization.no_init_weights(), _counting_for_real()]

    replaced = [
        (modeling_utils, "get_model_conversion_mapping", lambda *_choices, **_more: []),
        (modeling_utils, "convert_and_load_state_dict_in_model", _put_in_place),
        (PreTrainedModel, "get_init_context", classmethod(without_random_numbers)),
    ]
    ordinary = [(place, name, vars(place)[name]) for place, name, _ in replaced]
    try:
        for place, name, function in replaced:
            setattr(place, name, function)
        yield
    finally:
        for place, name, function in ordinary:
            setattr(place, name, function)


@contextmanager
def _counting_for_real() -> Iterator[None]:
    """Let ``torch.arange`` give numbers also where tensors are made without: of these few, which say how positions turn, torch would
    make none without importing its compiler. transformers does the same for ``torch.linspace``."""
    arange = torch.arange

    def counted(*numbers: Any, **choices: Any) -> torch.Tensor:
        return arange(*numbers, **{"device": "cpu", **choices})

    setattr(torch, "arange", counted)  # noqa: B010  # an assignment would have to be of the same type
    try:
        yield
    finally:
        setattr(torch, "arange", arange)  # noqa: B010  # likewise


def _put_in_place(model: Any, state_dict: Mapping[str, Any], load_config: Any, disk_offload_index: Any) -> tuple[Any, Any]:
    """What transformers' function of the longer name does: every tensor of the file, by its name, into the model on its device."""
    (device,) = load_config.device_map.values()
    told = LoadStateDictInfo(set(model.state_dict()), set(), set(), [], {}, set())
    modules = dict(model.named_modules())
    for weight, states in _weights(state_dict).items():
        tensor = state_dict[weight][...].to(device)
        if states:
            module = modules[weight.removesuffix(_WEIGHT)]
            if not isinstance(module, bitsandbytes.nn.Linear4bit):
                raise ValueError(f"{weight} is in NF4, its place is not")
            tensor = bitsandbytes.nn.Params4bit.from_prequantized(
                tensor, {name: state_dict[f"{weight}.{name}"][...] for name in states}, device=device, module=module
            )
            module._is_hf_initialized = True
        set_param_for_module(model, weight, tensor, told, load_config.hf_quantizer)
    missing = told.missing_keys - set(model.all_tied_weights_keys)
    if missing or told.unexpected_keys or told.mismatched_keys:
        raise ValueError(f"not the tensors of this model: {sorted([*missing, *told.unexpected_keys])[:3]}")
    return told, disk_offload_index


def _weights(names: Mapping[str, Any]) -> dict[str, list[str]]:
    """Every tensor of the model, in the file's order, with the names of what belongs to it: its scales, where it is in NF4."""
    found: dict[str, list[str]] = defaultdict(list)
    for name in names:
        module, weight, state = name.partition(f"{_WEIGHT}.")
        if state:
            found[f"{module}{_WEIGHT}"].append(state)
        else:
            found[module + weight]
    return found
