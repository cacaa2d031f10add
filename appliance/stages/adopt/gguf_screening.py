"""A first look at a GGUF file from outside, before llama.cpp may see it: is it one, is it whole, what does it say it is?

Layout (ggml's ``docs/gguf.md``): magic, version, counts, key/value pairs, tensor list, aligned data. The reader maps the file.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from gguf import GGUFReader, LlamaFileType

from appliance.domain.errors import ApplianceError

_MAGIC = b"GGUF"


def screen_gguf(path: Path) -> dict[str, Any]:
    """Facts about the file; raises ``gguf_broken`` for anything that is not a whole GGUF model of one file."""
    with path.open("rb") as file:
        if file.read(4) != _MAGIC:
            raise ApplianceError("gguf_not_one", path=str(path))
    try:
        reader = GGUFReader(path)
        facts = _facts(reader)
    except Exception as error:  # numpy and the reader fail in many ways on bytes that lie
        raise ApplianceError("gguf_broken", path=str(path), cause=type(error).__name__) from error
    if not facts["architecture"] or not facts["tensors"]:
        raise ApplianceError("gguf_broken", path=str(path), cause="general.architecture")
    return facts


def _facts(reader: GGUFReader) -> dict[str, Any]:
    def told(key: str) -> Any:
        field = reader.get_field(key)
        return None if field is None else field.contents()

    architecture = told("general.architecture")
    file_type = told("general.file_type")
    known = isinstance(file_type, int) and file_type in LlamaFileType._value2member_map_
    return {
        "architecture": architecture,
        "name": told("general.name") or "",
        "type": LlamaFileType(file_type).name.removeprefix("MOSTLY_").lower() if known else "",
        "parameters": sum(int(tensor.n_elements) for tensor in reader.tensors),
        "tensors": len(reader.tensors),
        "types": dict(Counter(tensor.tensor_type.name for tensor in reader.tensors)),
        "layers": told(f"{architecture}.block_count"),
        "context_length": told(f"{architecture}.context_length"),
        "chat_template": bool(told("tokenizer.chat_template")),
    }
