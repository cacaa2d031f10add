"""Which type each tensor of a GGUF file gets: llama.cpp's own mixes, so that our files are the ones llama-quantize would make.

The rule, read from ``llama_tensor_get_type_impl`` and ``tensor_type_fallback`` in llama.cpp's ``src/llama-quant.cpp`` (sdist 0.3.36):
only matrices that are no norms are quantized; head (or tied embedding) gets Q6_K; in the "M" mixes v and down-projection get Q6_K in the
first and last eighth of the blocks and in every third between; rows that a type's blocks do not divide get a type of 32-value blocks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gguf import GGMLQuantizationType, LlamaFileType

from appliance.stages.export.quantizer import block_size

Kind = GGMLQuantizationType


@dataclass(frozen=True)
class TypeMix:
    """One value of the recipe's ``export.type``."""

    default: Kind
    file_type: LlamaFileType
    """``general.file_type``."""
    more_bits: bool = False
    """Whether v and down-projection of some blocks get Q6_K: the "M" of a name."""


MIXES: Mapping[str, TypeMix] = {
    "q4_k_m": TypeMix(Kind.Q4_K, LlamaFileType.MOSTLY_Q4_K_M, more_bits=True),
    "q5_k_m": TypeMix(Kind.Q5_K, LlamaFileType.MOSTLY_Q5_K_M, more_bits=True),
    "q6_k": TypeMix(Kind.Q6_K, LlamaFileType.MOSTLY_Q6_K),
    "q8_0": TypeMix(Kind.Q8_0, LlamaFileType.MOSTLY_Q8_0),
    "f16": TypeMix(Kind.F16, LlamaFileType.MOSTLY_F16),
    "bf16": TypeMix(Kind.BF16, LlamaFileType.MOSTLY_BF16),
    "f32": TypeMix(Kind.F32, LlamaFileType.ALL_F32),
}
"""``f32`` is offered to nobody: it is what the others are compared with."""

_FALLBACKS = {Kind.Q4_K: Kind.Q5_0, Kind.Q5_K: Kind.Q5_1, Kind.Q6_K: Kind.Q8_0}
_PLAIN = frozenset({Kind.F32, Kind.F16, Kind.BF16})


@dataclass(frozen=True)
class Architecture:
    """The facts about a model that the rule asks for."""

    name: str
    """llama.cpp's ``general.architecture``."""
    blocks: int
    heads: int
    key_value_heads: int

    @property
    def has_few_value_heads(self) -> bool:
        """llama.cpp's "70B": at 80 blocks v is so much smaller than q that a few more bits cost nothing.

        It calls a model so by architecture: Qwen2 by its depth alone, Llama (and Mistral) with grouped queries, Qwen3 never.
        """
        return self.blocks == 80 and (self.name == "qwen2" or (self.name == "llama" and self.heads != self.key_value_heads))


def tensor_types(shapes: Mapping[str, tuple[int, ...]], mix: TypeMix, architecture: Architecture) -> dict[str, Kind]:
    """The type of every tensor by llama.cpp's name; ``shapes`` are (rows, columns), in any order."""
    tied = "output.weight" not in shapes
    return {name: _tensor_type(name, shape, mix, architecture, tied) for name, shape in shapes.items()}


def _tensor_type(name: str, shape: tuple[int, ...], mix: TypeMix, architecture: Architecture, tied: bool) -> Kind:
    # A matrix of one row has one dimension in ggml's eyes.
    is_matrix = len(shape) > 1 and shape[0] > 1
    if not is_matrix or not name.endswith("weight") or name.endswith("_norm.weight"):
        return Kind.F32
    if mix.default in _PLAIN:
        return mix.default
    columns = shape[-1]
    if name == "output.weight" or (tied and name == "token_embd.weight"):
        kind = Kind.Q8_0 if mix.default is Kind.Q8_0 or columns % block_size(mix.default) else Kind.Q6_K
    else:
        kind = _block_type(name, mix, architecture)
    return _that_divides(kind, columns)


def _block_type(name: str, mix: TypeMix, architecture: Architecture) -> Kind:
    is_value, is_down = name.endswith("attn_v.weight"), name.endswith("ffn_down.weight")
    if not (is_value or is_down):
        return mix.default
    if mix.more_bits and _gets_more_bits(int(name.split(".")[1]), architecture.blocks):
        return Kind.Q6_K
    if is_value and architecture.has_few_value_heads and mix.default is Kind.Q4_K:
        return Kind.Q5_K
    return mix.default


def _gets_more_bits(block: int, blocks: int) -> bool:
    eighth = blocks // 8
    return block < eighth or block >= 7 * blocks // 8 or (block - eighth) % 3 == 2


def _that_divides(kind: Kind, columns: int) -> Kind:
    if columns % block_size(kind):
        kind = _FALLBACKS.get(kind, kind)
    return Kind.F16 if columns % block_size(kind) else kind
