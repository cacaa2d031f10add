"""What a method makes of a base: a model some of whose numbers are trained, and the way they are saved, loaded and published."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from peft import get_peft_model, get_peft_model_state_dict, set_peft_model_state_dict
from safetensors.torch import load_file, save_file

from appliance.domain.family import Family
from appliance.domain.methods import METHODS, Method
from appliance.domain.recipe import TrainingRecipe
from appliance.stages.train.methods.fused_linear import fuse

CONFIG_FILE = "adapter_config.json"
WEIGHTS_FILE = "adapter_model.safetensors"


@dataclass(frozen=True)
class Preparation:
    """What a method starts from."""

    base: Any
    """transformers' model, every weight frozen."""
    family: Family
    recipe: TrainingRecipe
    new_tokens: Sequence[int] = ()
    """Ids of tokens that the base has never seen; their rows are trained together with the adapter."""


class Learner:
    """A model in training. ``model`` holds all parameters, ``language_model`` is what predicts the next token."""

    def __init__(self, model: Any, language_model: Any, recipe: TrainingRecipe) -> None:
        self.model = model
        self.language_model = language_model
        self.method: Method = METHODS[recipe.method]
        self.trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
        """All that is ever changed, in a fixed order."""
        model.train()

    def parameter_groups(self) -> list[dict[str, Any]]:
        """For the optimizer; ``rate_factor`` is what the schedule's learning rate is multiplied with."""
        return [{"params": self.trained, "rate_factor": 1.0}]

    def gradients(self) -> list[torch.Tensor]:
        """Those that there are."""
        return [parameter.grad for parameter in self.trained if parameter.grad is not None]

    def begin_step(self, step: int, total: int) -> None:
        """Get ready for one optimizer step (from 1): a function of its number alone, so that a resumed run does the same."""

    def reference(self) -> AbstractContextManager[Any]:
        """The model as it was before training, as long as the block lasts; nothing remembers it where all weights are trained."""
        raise NotImplementedError

    def save_weights(self, folder: Path) -> None:
        """Write all that is trained, for a checkpoint or as a part of the result."""
        raise NotImplementedError

    def load_weights(self, folder: Path) -> None:
        """Read what ``save_weights`` wrote."""
        raise NotImplementedError

    def publish(self, folder: Path, base: Path) -> None:
        """Write the result without its tokenizer, so that plain peft or transformers loads it."""
        raise NotImplementedError


class AdapterLearner(Learner):
    """A base with an adapter of peft's in its layers."""

    def __init__(self, preparation: Preparation, config: Any) -> None:
        torch.manual_seed(preparation.recipe.seed)
        # peft's ``prepare_model_for_kbit_training`` is left out on purpose: it would turn embedding and head into float32 for nothing.
        model = get_peft_model(preparation.base, config)
        fuse(model)
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.data = parameter.data.float()  # rows of new tokens would have the base's bfloat16
        super().__init__(model, self.speaking(model), preparation.recipe)

    def speaking(self, model: Any) -> Any:
        """What predicts: the base itself, since the adapter is inside its layers."""
        return model.get_base_model()

    @contextmanager
    def reference(self) -> Iterator[Any]:
        """The base with its adapter switched off."""
        with self.model.disable_adapter():
            yield self.model.get_base_model()

    def save_weights(self, folder: Path) -> None:
        """Write the adapter's tensors as peft names them."""
        # Without the base's tensors: peft would collect and pack all of them only to drop them again.
        own = {name: parameter.detach() for name, parameter in self.model.named_parameters() if parameter.requires_grad}
        tensors = get_peft_model_state_dict(self.model, state_dict=own, save_embedding_layers=False)
        save_file({name: tensor.cpu().contiguous() for name, tensor in tensors.items()}, folder / WEIGHTS_FILE, metadata={"format": "pt"})

    def load_weights(self, folder: Path) -> None:
        """Read tensors that ``save_weights`` wrote into the adapter."""
        set_peft_model_state_dict(self.model, load_file(folder / WEIGHTS_FILE))

    def publish(self, folder: Path, base: Path) -> None:
        """The adapter's tensors and peft's configuration of it, the same bytes for the same adapter."""
        self.save_weights(folder)
        settings = {**self.model.peft_config["default"].to_dict(), "inference_mode": True}
        text = json.dumps(settings, indent=2, sort_keys=True, default=sorted)  # the only values JSON does not know are sets
        (folder / CONFIG_FILE).write_text(text + "\n", "utf-8")
