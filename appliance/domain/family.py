"""A family: what differs between model architectures, as data. One file and one line per family, see ``families/``."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from appliance.domain.errors import ApplianceError, ExitCode

Config = Mapping[str, Any]
"""A base's ``config.json``."""

BLOCK_PREFIX = "model.layers."
"""What transformers puts before the number of a block."""

_ATTENTION = "self_attn."
_ARTICLE = ("q_proj", "k_proj", "v_proj", "gate_proj")
"""What a widely copied recipe for traffic models trains."""
_BLOCK_NAME = re.compile(re.escape(BLOCK_PREFIX) + r"(\d+)\.(.+)\.(weight|bias)")


@dataclass(frozen=True, kw_only=True)
class Family:
    """How one architecture names its parts, for training and for GGUF."""

    name: str
    """Shown to people: ``Qwen2``."""
    architectures: tuple[str, ...]
    """Values of ``config["architectures"]`` that belong to this family."""
    gguf_architecture: str
    """llama.cpp's ``general.architecture``."""
    linear_modules: tuple[str, ...]
    """Names of all linear layers inside a block: what ``all linear`` means for LoRA."""
    block_tensors: Mapping[str, str]
    """Within a block: transformers' name → llama.cpp's, both without prefix and ``.weight``/``.bias``."""
    outer_tensors: Mapping[str, str]
    """Outside the blocks: transformers' full name → llama.cpp's full name."""
    tensors: Callable[[Config], dict[str, tuple[int, ...]]] = field(repr=False)
    """Every tensor that the config promises: transformers' full name → shape."""
    metadata: Callable[[Config], dict[str, int | float | str]] = field(repr=False)
    """Keys below ``{gguf_architecture}.`` from the config, with Python values (int → uint32, float → float32)."""
    computed_tensors: Callable[[Config], dict[str, list[float]]] = field(default=lambda _config: {}, repr=False)
    """Vectors that llama.cpp wants and the base does not store: llama.cpp's full name → values."""
    permuted_modules: tuple[str, ...] = ()
    """Linear layers whose rows llama.cpp wants in the interleaved rotary order (Llama's q and k)."""

    def linear_set(self, targets: str) -> tuple[str, ...]:
        """The linear layers that a recipe's ``targets`` means; raises ``target_unknown`` for a layer that this family has not."""
        if targets == "all_linear":
            return self.linear_modules
        if targets == "attention":
            inside = {name.removeprefix(_ATTENTION) for name in self.block_tensors if name.startswith(_ATTENTION)}
            return tuple(name for name in self.linear_modules if name in inside)
        wanted = _ARTICLE if targets == "q_k_v_gate" else targets.split(",")
        for name in wanted:
            if name not in self.linear_modules:
                known = ", ".join(self.linear_modules)
                raise ApplianceError("target_unknown", ExitCode.USAGE, module=name, family=self.name, known=known)
        return tuple(dict.fromkeys(wanted))

    def gguf_name(self, tensor: str) -> str | None:
        """llama.cpp's name of one of transformers' tensors; None for a tensor that this family does not have."""
        if tensor in self.outer_tensors:
            return self.outer_tensors[tensor]
        found = _BLOCK_NAME.fullmatch(tensor)
        if found is None or found[2] not in self.block_tensors:
            return None
        return f"blk.{found[1]}.{self.block_tensors[found[2]]}.{found[3]}"

    def is_permuted(self, tensor: str) -> bool:
        """Whether llama.cpp wants the rows of this tensor of transformers in another order."""
        found = _BLOCK_NAME.fullmatch(tensor)
        return found is not None and found[2] in self.permuted_modules
