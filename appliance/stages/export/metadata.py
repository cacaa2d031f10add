"""The head of a GGUF file: what llama.cpp must know to build the model, under the keys that its own converter writes."""

from __future__ import annotations

from gguf import GGML_QUANT_VERSION, GGUFWriter, size_label

from appliance.stages.export.plan import Sum
from appliance.stages.export.type_mix import TypeMix
from appliance.stages.export.vocabulary import Vocabulary


def gguf_head(model: Sum, vocabulary: Vocabulary, mix: TypeMix, name: str) -> GGUFWriter:
    """A writer that holds all metadata and has written nothing yet."""
    family = model.base.family
    head = GGUFWriter(None, family.gguf_architecture)
    head.add_type("model")
    head.add_name(name or model.base.folder.name)
    head.add_size_label(size_label(model.parameters, model.parameters, 0, 0))
    head.add_file_type(int(mix.file_type))
    head.add_quantization_version(GGML_QUANT_VERSION)
    for key, value in family.metadata(model.config).items():
        full = f"{family.gguf_architecture}.{key}"
        if isinstance(value, str):
            head.add_string(full, value)
        elif isinstance(value, float):
            head.add_float32(full, value)
        else:
            head.add_uint32(full, value)
    vocabulary.add_to(head)
    return head


def metadata_bytes(vocabulary: Vocabulary) -> int:
    """About how much of the file the metadata will take, for asking whether the disk has room."""
    merges = sum(len(merge.encode()) + 8 for merge in vocabulary.special.merges)
    return merges + sum(len(token.encode("utf-8", "surrogatepass")) + 12 for token in vocabulary.tokens) + (1 << 16)
