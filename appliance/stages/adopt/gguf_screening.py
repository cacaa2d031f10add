"""A look at a GGUF file from outside, before llama.cpp may see it: is it one, is it whole, is it a model that can be served?"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from gguf import LlamaFileType

from appliance.domain.errors import ApplianceError
from appliance.files.gguf_header import GgufHeader, read_gguf

ARCHITECTURE = "general.architecture"
TOKENS = "tokenizer.ggml.tokens"
LONGEST_NAME = 200
"""Characters that are kept of what a file calls itself."""


def screen_gguf(path: Path) -> dict[str, Any]:
    """Facts about the file; raises ``gguf_not_one``, or ``gguf_broken`` for anything that is not a whole GGUF model of one file."""
    header = read_gguf(path)
    problems: list[dict[str, Any]] = [{"code": "gguf_lacks", "key": key} for key in _lacking(header)]
    if _whole(header, "split.count") > 1:
        problems.append({"code": "gguf_in_parts", "count": _whole(header, "split.count")})
    if problems:
        raise ApplianceError("gguf_broken", path=str(path), problems=problems)
    return _facts(header)


def _lacking(header: GgufHeader) -> list[str]:
    """What a language model that can be served needs, and this file does not have."""
    lacking = [] if _text(header, ARCHITECTURE) else [ARCHITECTURE]
    lacking += [] if header.tensors else ["tensors"]
    # An adapter or a picture encoder is a GGUF file as well, but nothing to talk to.
    return lacking + ([] if header.array_lengths.get(TOKENS) else [TOKENS])


def _facts(header: GgufHeader) -> dict[str, Any]:
    architecture = _text(header, ARCHITECTURE)[:LONGEST_NAME]
    file_type = _whole(header, "general.file_type", -1)
    known = file_type in LlamaFileType._value2member_map_
    return {
        "architecture": architecture,
        "name": _text(header, "general.name")[:LONGEST_NAME],
        "type": LlamaFileType(file_type).name.removeprefix("MOSTLY_").lower() if known else "",
        "parameters": sum(tensor.elements for tensor in header.tensors),
        "tensors": len(header.tensors),
        "types": dict(Counter(tensor.type for tensor in header.tensors)),
        "layers": _whole(header, f"{architecture}.block_count") or None,
        "context_length": _whole(header, f"{architecture}.context_length") or None,
        "chat_template": "tokenizer.chat_template" in header.values,
    }


def _text(header: GgufHeader, key: str) -> str:
    value = header.values.get(key)
    return value if isinstance(value, str) else ""


def _whole(header: GgufHeader, key: str, without: int = 0) -> int:
    value = header.values.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) else without
