"""Full fine-tuning: every weight is trained, in float32, and written in the base's own type.

In bfloat16 a weight of 1 cannot change by less than 0.004, which is more than a whole training would change it; so the weights are
float32 and only the arithmetic is bfloat16. With layer-wise unfreezing (Howard and Ruder 2018) the last block is trained first and the
others join it from the last to the first, the embedding with the first.
"""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Mapping
from pathlib import Path

import torch
from huggingface_hub import save_torch_state_dict
from safetensors.torch import load_file, save_file

from appliance.domain.families.decoder import EMBEDDING
from appliance.domain.family import BLOCK_PREFIX
from appliance.files.base_screening import read_json_object
from appliance.files.safetensors_header import tensors_of_folder
from appliance.stages.train.methods.learner import Learner, Preparation

_CHECKPOINT = "weights.safetensors"
_CONFIG, _GENERATION = "config.json", "generation_config.json"
_DTYPES = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}


class FullLearner(Learner):
    """A base whose every weight is trained."""

    def __init__(self, preparation: Preparation) -> None:
        base, self._recipe = preparation.base, preparation.recipe
        base.requires_grad_(True)
        super().__init__(base, base, preparation.recipe)
        self._blocks = base.config.num_hidden_layers

    def begin_step(self, step: int, total: int) -> None:
        """Thaw as many blocks as it is time for."""
        if self._recipe.unfreeze == "off":
            return
        thawed = thawed_blocks(step, total, self._blocks, self._recipe.unfreeze_share)
        for name, parameter in self.model.named_parameters():
            parameter.requires_grad_(self._blocks - _block_of(name) <= thawed)

    def save_weights(self, folder: Path) -> None:
        """Write every weight in float32."""
        save_file({name: parameter.detach().cpu() for name, parameter in self.model.named_parameters()}, folder / _CHECKPOINT)

    def load_weights(self, folder: Path) -> None:
        """Read what ``save_weights`` wrote."""
        self.model.load_state_dict(load_file(folder / _CHECKPOINT), strict=False)  # a tied head is in the file once, as the embedding

    def publish(self, folder: Path, base: Path) -> None:
        """A whole model folder: the base's config, and weights under the base's names in the base's types."""
        stored = {name: _DTYPES[tensor.dtype] for name, tensor in tensors_of_folder(base).items()}
        usual = max(stored.values(), key=list(stored.values()).count)
        weights: Mapping[str, torch.Tensor] = dict(self.model.named_parameters())
        tensors = {name: weight.detach().to("cpu", stored.get(name, usual)) for name, weight in weights.items()}
        save_torch_state_dict(tensors, folder, max_shard_size="4GB")
        if (base / _GENERATION).is_file():
            shutil.copyfile(base / _GENERATION, folder / _GENERATION)
        config = read_json_object(base / _CONFIG) | {"vocab_size": self.model.config.vocab_size}  # new tokens may have made it larger
        (folder / _CONFIG).write_text(json.dumps(config, indent=2, ensure_ascii=False) + "\n", "utf-8")


def thawed_blocks(step: int, total: int, blocks: int, share: float) -> int:
    """How many blocks, counted from the last, a step (from 1) trains; ``blocks + 1`` means the embedding, too.

    One at the first step, all of them from ``share`` of the steps on, in equal stages between.
    """
    until = max(1, round(share * total))
    return min(blocks + 1, 1 + math.floor((step - 1) * (blocks + 1) / until))


def _block_of(name: str) -> int:
    """The number of a parameter's block; the embedding stands before the first, norm and head stand with the last."""
    if name == EMBEDDING:
        return -1
    number = name.removeprefix(BLOCK_PREFIX).partition(".")[0]
    return int(number) if number.isdigit() and name.startswith(BLOCK_PREFIX) else 1 << 20


def prepare(preparation: Preparation) -> Learner:
    """Every weight of the base."""
    return FullLearner(preparation)
