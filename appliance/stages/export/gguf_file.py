"""Writing a GGUF file front to back: head, tensor list, then data as it comes, hashed on the way."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from gguf import GGUFWriter

from appliance.stages.export.plan import PlannedTensor
from appliance.stages.export.pouring import Bytes

ALIGNMENT = 32
"""Bytes; ``general.alignment``'s default."""


def write_gguf(
    path: Path,
    head: GGUFWriter,
    planned: list[PlannedTensor],
    pieces: Iterable[tuple[PlannedTensor, int, Bytes]],
    tell: Callable[[int], None],
) -> str:
    """Write the whole file and give its SHA-256; ``tell`` hears how many bytes of the base have been used so far.

    ``head`` holds the metadata; ``pieces`` come in the order of ``planned``.
    """
    _write_head(path, head, planned)
    with path.open("rb") as written:
        digest = hashlib.file_digest(written, "sha256")
    left = {tensor.name: tensor.size for tensor in planned}
    used = 0
    with path.open("ab") as file:

        def write(content: bytes | memoryview) -> None:
            file.write(content)
            digest.update(content)

        for tensor, taken, content in pieces:
            write(content.data)
            left[tensor.name] -= content.nbytes
            if left[tensor.name] == 0:
                write(bytes(-tensor.size % ALIGNMENT))
            used += taken
            tell(used)
    if any(left.values()):
        raise RuntimeError(f"tensors incomplete: {[name for name, missing in left.items() if missing]}")
    return digest.hexdigest()


def file_size(planned: list[PlannedTensor], metadata_bytes: int) -> int:
    """Bytes that the file will take, head included, give or take a page."""
    data = sum(tensor.size + -tensor.size % ALIGNMENT for tensor in planned)
    return data + metadata_bytes + sum(len(tensor.name) + 64 for tensor in planned)


def _write_head(path: Path, head: GGUFWriter, planned: list[PlannedTensor]) -> None:
    for tensor in planned:
        head.add_tensor_info(tensor.name, tensor.shape, np.dtype(np.float32), tensor.size, raw_dtype=tensor.kind)
    head.write_header_to_file(path)
    head.write_kv_data_to_file()
    head.write_ti_data_to_file()
    head.close()
    with path.open("ab") as file:
        file.write(bytes(-file.tell() % ALIGNMENT))
