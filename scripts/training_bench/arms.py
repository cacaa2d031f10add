"""The arms: who is measured, doing what. One row each, for a processor and for a GPU."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

PACK = 2048
"""Longest row, and tokens of TRL's packs, on a processor."""
GPU_PACK = 8192


@dataclass(frozen=True)
class Arm:
    """One way to do the work."""

    name: str
    says: str
    """For the table: what is set, beyond what all share."""
    module: str
    environment: str = ""
    """One of ``environments.RECIPES``; empty for the appliance's."""
    options: dict[str, Any] = field(default_factory=dict)
    bound: float = 0.0
    """What our speed has to be, divided by this arm's; 0 where nothing is demanded."""
    packs: bool = False
    """Rows are packed by the peer itself over the whole dataset, so its steps are not the same rows as ours."""


OURS = Arm("Greenwave", "as it comes", "ours")
TUNED = {"gradient_checkpointing": False, "per_device_train_batch_size": 1}
PACKED = TUNED | {"packing": True}
CPU: tuple[Arm, ...] = (
    OURS,
    Arm("TRL defaults", "bf16, batch 8 padded, all blocks recomputed", "peer_trl", "trl", bound=2.5),
    Arm("TRL tuned: batch 1", "bf16, batch 1, nothing recomputed", "peer_trl", "trl", {"tuned": TUNED}),
    Arm("TRL tuned: packed", f"bf16, packs of {PACK}, nothing recomputed", "peer_trl", "trl", {"tuned": PACKED}, packs=True),
    Arm("transformers, batch 4", "float32, padded", "peer_plain", options={"rows": 4, "arithmetic": "float32"}, bound=2.0),
    Arm("transformers, batch 1", "float32", "peer_plain", options={"rows": 1, "arithmetic": "float32"}, bound=1.2),
    Arm("transformers, batch 4, bf16", "bf16, padded", "peer_plain", options={"rows": 4, "arithmetic": "bfloat16"}),
    Arm("transformers, batch 1, bf16", "bf16", "peer_plain", options={"rows": 1, "arithmetic": "bfloat16"}),
    Arm("LLaMA-Factory defaults", "batch 1, all blocks recomputed", "peer_llamafactory", "llamafactory"),
)
GPU: tuple[Arm, ...] = (
    Arm("Greenwave", f"packs of {GPU_PACK}", "ours", options={"recipe": {"micro_batch_size": 1}}),
    Arm("TRL tuned", f"bf16, packs of {GPU_PACK}, paged 8-bit AdamW", "peer_trl", "trl", {
        "tuned": {"packing": True, "per_device_train_batch_size": 1, "optim": "paged_adamw_8bit"}}, bound=1.3, packs=True),
    Arm("TRL defaults", "bf16, batch 8 padded, all blocks recomputed", "peer_trl", "trl", bound=2.5),
    Arm("LLaMA-Factory defaults", "batch 1, all blocks recomputed", "peer_llamafactory", "llamafactory", bound=2.0),
    Arm("Unsloth", f"packs of {GPU_PACK}, its own checkpointing", "peer_unsloth", "unsloth", bound=0.9, packs=True),
)  # fmt: skip
LENGTHS = (2048, 4096, 8192)
"""Pack lengths at which a GPU's peak memory is taken, every block recomputed."""
PEAKS = {2048: 7.8e9, 4096: 9.5e9, 8192: 13e9}
"""And what it may be at most, for 7 B parameters."""
