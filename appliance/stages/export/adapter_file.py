"""A LoRA adapter as a GGUF file of its own, which llama.cpp puts on the base's GGUF file: several adapters can share one base.

Format (llama.cpp ``src/llama-adapter.cpp``): ``general.type = adapter``, ``adapter.type = lora``, for each changed weight ``NAME.lora_a``
(rank, columns) and ``NAME.lora_b`` (rows, rank), and one ``adapter.lora.alpha`` for all: llama.cpp scales each product by alpha / rank.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from gguf import GGUFReader, GGUFWriter, LlamaFileType

from appliance.domain.errors import ApplianceError, ExitCode
from appliance.domain.families.decoder import EMBEDDING, head_size
from appliance.stages.export.base_weights import WeightReader, columns_of
from appliance.stages.export.plan import BLOCK_ELEMENTS, PlannedTensor, Sum
from appliance.stages.export.pouring import Bytes, interleaved
from appliance.stages.export.updates import LowRankUpdate, Scaling


def adapter_updates(model: Sum, reader: WeightReader) -> dict[str, LowRankUpdate]:
    """The products of A and B by transformers' tensor name; raises ``adapter_file_impossible`` with all that is more than that."""
    problems: list[dict[str, Any]] = []
    updates: dict[str, LowRankUpdate] = {}
    if model.config.get("tie_word_embeddings") != model.base.config.get("tie_word_embeddings"):
        problems.append({"code": "adapter_file_parts_embedding"})
    elif model.config["vocab_size"] != model.base.config["vocab_size"]:
        problems.append({"code": "adapter_file_adds_tokens"})
    else:
        for name, tensor in model.tensors.items():
            if tensor.source is not model.base.tensors[name] and not _is_copy(model, name, reader):
                problems.append({"code": "adapter_file_has_whole", "tensor": name})
            if isinstance(tensor.update, LowRankUpdate):
                updates[name] = tensor.update
                if tensor.update.magnitude is not None:
                    problems.append({"code": "adapter_file_has_dora", "tensor": name})
            elif isinstance(tensor.update, Scaling):
                problems.append({"code": "adapter_file_has_scaling", "tensor": name})
            elif tensor.update is not None:
                problems.append({"code": "adapter_file_has_tokens", "tensor": name})
    if problems:
        raise ApplianceError("adapter_file_impossible", ExitCode.BAD_DATA, count=len(problems), problems=problems[:8])
    return updates


def adapter_tensors(model: Sum, updates: Mapping[str, LowRankUpdate]) -> list[PlannedTensor]:
    """Both matrices of every update, as f32."""
    planned = []
    for name, update in updates.items():
        rows, columns = model.tensors[name].source.shape
        ours, rank = model.base.family.gguf_name(name), update.rank
        # llama.cpp looks tokens up in an embedding's A, so that it lies turned.
        shapes = {"a": (rows, rank), "b": (columns, rank)} if name == EMBEDDING else {"a": (rank, columns), "b": (rows, rank)}
        planned += [PlannedTensor(f"{ours}.lora_{side}", shape, None) for side, shape in shapes.items()]
    return planned


def adapter_head(model: Sum, updates: Mapping[str, LowRankUpdate], name: str) -> GGUFWriter:
    """A writer that holds all metadata and has written nothing yet."""
    head = GGUFWriter(None, model.base.family.gguf_architecture)
    head.add_type("adapter")
    head.add_string("adapter.type", "lora")
    head.add_name(name)
    head.add_file_type(int(LlamaFileType.ALL_F32))
    head.add_float32("adapter.lora.alpha", common_alpha(updates))
    return head


def common_alpha(updates: Mapping[str, LowRankUpdate]) -> float:
    """The alpha that is right for most weights, so that their B stays as it is: for rsLoRA it is alpha · sqrt(rank)."""
    return Counter(update.scaling * update.rank for update in updates.values()).most_common(1)[0][0]


def adapter_pieces(
    model: Sum, updates: Mapping[str, LowRankUpdate], planned: list[PlannedTensor], reader: WeightReader
) -> Iterator[tuple[PlannedTensor, int, Bytes]]:
    """Each matrix in order: its tensor, the bytes of the adapter that it took, its own bytes."""
    alpha, head, family = common_alpha(updates), head_size(model.config), model.base.family
    waiting = iter(planned)
    for name, update in updates.items():
        up, down = update.matrices(reader, 0, model.tensors[name].source.shape[0])
        correction = np.float32(update.scaling * update.rank / alpha)
        if family.is_permuted(name):
            up = interleaved(up, head)
        pair = (up, down.T * correction) if name == EMBEDDING else (down, up * correction)
        for matrix, stored in zip(pair, (update.down, update.up), strict=True):
            yield next(waiting), stored.size, np.ascontiguousarray(matrix, dtype=np.float32).reshape(-1).view(np.uint8)


def written_as_planned(path: Path, planned: list[PlannedTensor]) -> bool:
    """Whether the file's own list of tensors is the planned one."""
    found = {tensor.name: tuple(reversed(tensor.shape.tolist())) for tensor in GGUFReader(path).tensors}
    return found == {tensor.name: tensor.shape for tensor in planned}


def _is_copy(model: Sum, name: str, reader: WeightReader) -> bool:
    """Whether a tensor that the adapter's file holds is the base's own: peft saves an embedding beside its LoRA."""
    theirs, ours = model.tensors[name].source, model.base.tensors[name]
    step = max(1, BLOCK_ELEMENTS // columns_of(ours.shape))
    blocks = ((start, min(start + step, ours.shape[0])) for start in range(0, ours.shape[0], step))
    return all(np.array_equal(reader.rows(theirs, *block), reader.rows(ours, *block)) for block in blocks)
