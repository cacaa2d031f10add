"""Bringing a base into memory: screened before anything is read, from local safetensors only, never running what a folder brings.

``load_base`` gives transformers' model in evaluation mode with every weight frozen; with ``quantize`` its linear layers are NF4 with
double quantization (Dettmers et al. 2023), on the CPU as on a GPU. bitsandbytes and peft cost three seconds and are imported where they
are needed.
"""

from __future__ import annotations

import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError

from appliance.domain.errors import ApplianceError
from appliance.domain.event import Emit, Notice, Started
from appliance.domain.families import family_of
from appliance.domain.family import Family
from appliance.files.base_screening import read_json_object, screen_base
from appliance.files.safetensors_header import read_header
from appliance.stages.language_model.attention import PACK_ATTENTION
from appliance.stages.language_model.device import Device, give_back_memory
from appliance.stages.language_model.lean_transformers import AutoModelForCausalLM, BitsAndBytesConfig, GradientCheckpointingLayer
from appliance.stages.language_model.new_tokens import grow_embeddings, rows_of_adapter
from appliance.stages.language_model.nf4_cache import Entry, Nf4Cache, nf4_key
from appliance.stages.language_model.tokenizer import load_tokenizer

__all__ = [
    "checkpoint_activations",
    "family_in",
    "keep_weights_in_place",
    "load_base",
    "load_model",
    "load_tokenizer",
    "parameter_counts",
    "quiet_libraries",
]

_ONLY_LOCAL = {"trust_remote_code": False, "local_files_only": True}


def family_in(folder: Path) -> Family:
    """The family of the base in a folder."""
    return family_of(read_json_object(folder / "config.json"))


def load_base(folder: Path, device: Device, *, quantize: bool, cache: Path | None = None, emit: Emit = lambda _event: None) -> Any:
    """The base as a transformers model on the device; raises ``base_refused`` when its folder is not sound.

    ``cache`` is a folder of bases in NF4: one that was quantized before comes from there, bit for bit the same.
    """
    screen_base(folder)
    if quantize:
        from appliance.stages.language_model import lean_bitsandbytes  # noqa: F401  # before transformers imports it
    model = _load_quantized(folder, device, cache, emit) if quantize else _load(folder, device)
    model.requires_grad_(False)
    if quantize:
        keep_weights_in_place(model)
    give_back_memory()
    return model.eval()


def _let_file_go(model: torch.nn.Module) -> None:
    """Copy what is not NF4 out of the base's file: as long as one tensor lies in it, all of it that was read stays in memory."""
    for tensor in (*model.parameters(), *model.buffers()):
        if tensor.is_floating_point():
            tensor.data = tensor.data.clone()


def _load_quantized(folder: Path, device: Device, cache: Path | None, emit: Emit) -> Any:
    kept = Nf4Cache(cache) if cache else None
    key = nf4_key(folder, device) if kept else ""
    if kept and (entry := kept.find(key)) and (model := _load_entry(entry, device)):
        return _as_if_quantized_here(model, folder, device)
    settings = {"bnb_4bit_quant_type": "nf4", "bnb_4bit_use_double_quant": True, "bnb_4bit_compute_dtype": device.dtype}
    model = _load(folder, device, quantization_config=BitsAndBytesConfig(load_in_4bit=True, **settings))
    if device.kind == "cpu":
        _let_file_go(model)
    if kept:
        try:
            if not kept.put(key, model, folder):
                emit(Notice("info", "nf4_without_room", {"path": str(cache)}))
        except (OSError, SafetensorError) as error:
            # A cache that cannot be written costs time, not a training.
            emit(Notice("warning", "nf4_not_kept", {"reason": str(error)[:200]}))
    return model


def _load_entry(entry: Entry, device: Device) -> Any:
    """The model of a cache's entry; None when it is damaged, and has to be made again. It is read and checked at the same time."""
    with ThreadPoolExecutor(1) as beside:
        is_whole = beside.submit(entry.is_whole)
        try:
            model = _load_in_place(entry.folder, device) or _load(entry.folder, device)
        except (OSError, ValueError, RuntimeError, KeyError, SafetensorError):
            return None
        return model if is_whole.result() else None


def _load_in_place(folder: Path, device: Device) -> Any:
    """A quantized base the quick way; None when transformers is no longer made for that, or the entry is not what it should be."""
    try:
        from appliance.stages.language_model.nf4_model import tensors_put_in_place

        with tensors_put_in_place():
            return _load(folder, device)
    except (
        ImportError,
        AttributeError,
        KeyError,
        OSError,
        RuntimeError,
        TypeError,
        ValueError,
        SafetensorError,
    ):  # the ordinary way will tell
        return None


def _as_if_quantized_here(model: Any, folder: Path, device: Device) -> Any:
    model.config._name_or_path = model.name_or_path = str(folder)
    model.config.dtype = device.dtype
    for parameter in model.parameters():
        if parameter.is_floating_point():  # transformers leaves what is not NF4 in the file's own type
            parameter.data = parameter.data.to(device.dtype)
    return model


def _load(folder: Path, device: Device, **choices: Any) -> Any:
    return AutoModelForCausalLM.from_pretrained(
        folder,
        **_ONLY_LOCAL,
        use_safetensors=True,
        dtype=device.dtype,
        device_map={"": device.torch_device},
        attn_implementation=PACK_ATTENTION,
        **choices,
    )


def load_model(base: Path, adapter: Path | None, device: Device, *, quantize: bool, emit: Emit, cache: Path | None = None) -> Any:
    """A base, with an adapter put into its layers where one is given, for examination; transformers' own model, or with virtual
    tokens before its text what behaves like one."""
    emit(Started(None, "", "load_base"))
    model = load_base(base, device, quantize=quantize, cache=cache, emit=emit)
    if adapter is None:
        return model
    weights = adapter / "adapter_model.safetensors"
    if not weights.is_file():
        # peft would take a pickle instead.
        raise ApplianceError("adapter_file_missing", path=str(adapter), name=weights.name)
    from appliance.stages.language_model.lean_peft import peft

    grow_embeddings(model, max(rows_of_adapter(adapter), _rows_brought(weights)))

    frozen = set(map(id, model.parameters()))
    try:
        with warnings.catch_warnings(category=UserWarning, action="ignore"):  # what peft warns of is an error below
            adapted = peft.PeftModel.from_pretrained(model, str(adapter), torch_device=str(device.torch_device))
    except (ValueError, TypeError, RuntimeError, KeyError, SafetensorError) as error:
        raise ApplianceError("adapter_does_not_fit", adapter=str(adapter), base=str(base), reason=str(error)[:200]) from error
    added = {name: parameter for name, parameter in adapted.named_parameters() if id(parameter) not in frozen}
    # peft passes over low-rank and scaling tensors that have no place in this base, and over places that have no tensor. Embedding and
    # head are another matter: they may be saved whole beside an adapter with added tokens, and are one tensor where they are tied.
    expected = peft.get_peft_model_state_dict(adapted, state_dict=added, save_embedding_layers=False).keys()
    apart = [name for name in read_header(weights).keys() ^ expected if ".lora_" in name or name.endswith(".ia3_l")]
    if apart:
        raise ApplianceError("adapter_does_not_fit", adapter=str(adapter), base=str(base), reason=min(apart))
    if not adapted.active_peft_config.is_prompt_learning:
        return adapted.get_base_model().eval()
    from appliance.stages.language_model.prompted import Prompted

    return Prompted(adapted).eval()


def _rows_brought(weights: Path) -> int:
    """How many rows an embedding has that is saved whole beside the adapter; 0 when none is."""
    stored = read_header(weights).items()
    return max((tensor.shape[0] for name, tensor in stored if "embed_tokens" in name and name.endswith(".weight")), default=0)


def keep_weights_in_place(model: torch.nn.Module) -> None:
    """Forbid bitsandbytes to repack NF4 weights on CPUs with AVX512-BF16.

    It does so at the first forward in evaluation mode, for good; afterwards Llama trains with wrong gradients and Qwen2 crashes
    (bitsandbytes 0.50.2).
    """
    from bitsandbytes.nn.modules import Linear4bit

    for module in model.modules():
        if isinstance(module, Linear4bit):
            module.support_avx512bf16_for_cpu = False


def checkpoint_activations(model: Any, every: int = 1) -> None:
    """Make one block in ``every`` recompute its activations in the backward pass instead of keeping them, the first block among them."""
    keep = {"use_reentrant": False}
    if hasattr(model, "activation_checkpointing_enable"):
        model.activation_checkpointing_enable(activation_checkpointing_kwargs=keep)
    else:  # transformers before 5.20
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs=keep)
    # Reentrant checkpoints need inputs with gradients; these do not, and the first block need not compute any for its input.
    model.disable_input_require_grads()
    # transformers before 5.20 knows no blocks that keep theirs; the flag that each block looks at is the same in all versions.
    blocks = [module for module in model.modules() if isinstance(module, GradientCheckpointingLayer)]
    for place, block in enumerate(blocks):
        block.gradient_checkpointing = place % every == 0


def parameter_counts(model: torch.nn.Module) -> tuple[int, int]:
    """Numbers of trained and of all parameters, 4-bit weights counted as what they stand for."""
    trained = total = 0
    for parameter in model.parameters():
        state = getattr(parameter, "quant_state", None)
        count = parameter.numel() if state is None else int(torch.Size(state.shape).numel())
        total += count
        trained += count if parameter.requires_grad else 0
    return trained, total


def quiet_libraries() -> None:
    """Silence what libraries say to developers; a person is told by events."""
    warnings.filterwarnings("ignore", category=FutureWarning, module=r"transformers\..*|peft\..*")
    from transformers.utils import logging as transformers_logging

    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
