"""Libraries are imported without what is never used of them; everything that is used works, and what was left out is there when wanted."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

TRAINING = """
import sys
import torch
before = torch.compile, torch.distributed.is_available
import appliance.stages.train
assert (torch.compile, torch.distributed.is_available) == before
left_out = {"torch._dynamo", "sympy", "torch.distributed.tensor", "torch.distributed.fsdp", "torch.distributed.checkpoint"}
assert not left_out & set(sys.modules), left_out & set(sys.modules)

from appliance.domain.recipe import TrainingRecipe
from appliance.stages.language_model.device import Device
from appliance.stages.train.optimizer import new_optimizer
def steps(make):
    torch.manual_seed(5)
    layer = torch.nn.Linear(8, 8)
    optimizer = make(list(layer.parameters()))
    for _ in range(3):
        layer(torch.ones(2, 8)).square().sum().backward()
        optimizer.step()
        optimizer.zero_grad()
    return layer.weight.detach(), optimizer.state_dict()["state"][0]["exp_avg"]
recipe = TrainingRecipe()
ours = steps(lambda weights: new_optimizer([{"params": weights, "rate_factor": 1.0}], Device("cpu", "CPU", torch.float32), recipe))
assert "torch._dynamo" not in sys.modules, "the optimizer imported the compiler"
choices = {"lr": recipe.learning_rate, "weight_decay": recipe.weight_decay, "fused": True}
assert all(map(torch.equal, ours, steps(lambda weights: torch.optim.AdamW(weights, **choices))))

from bitsandbytes.functional import dequantize_4bit, quantize_4bit
weight = torch.randn(64, 64)
small, state = quantize_4bit(weight, quant_type="nf4", compress_statistics=True)
assert (dequantize_4bit(small, state) - weight).abs().mean() < 0.1

import torch._dynamo
assert torch._dynamo.is_compiling() is False and torch._dynamo.eval_frame, "the compiler itself is not there"
from transformers import masking_utils
with masking_utils.TransformGetItemToIndex():
    assert torch.arange(3)[torch.tensor(1)] == 1
"""

NAMES = """
import sys
if "lean" in sys.argv:
    import torch
    from appliance.stages.language_model import lean_transformers
    import transformers
    assert len(transformers._class_to_module) < 1000, "all names were read"
    from transformers import LlamaConfig
    dir(sys.modules['transformers.models'])
import transformers.models
for name in ("transformers", "transformers.models"):
    module = sys.modules[name]
    missing = sorted((what, sorted(backends)) for what, backends in module._object_missing_backend.items())
    structure = sorted((where, sorted(names)) for where, names in module._import_structure.items())
    print(sorted(module._modules), sorted(module._class_to_module.items()), sorted(module.__all__), missing, structure)
"""

STAND_IN = """
import sys
import torch
from appliance.stages.language_model.lean import lean_import
with lean_import():
    @torch.compile(mode="max-autotune")
    @torch.compiler.disable
    def as_written(number):
        return number + 1
    import torch._dynamo
    assert as_written(1) == 2 and not hasattr(torch._dynamo, "__file__"), "no stand-in"
    from torch._dynamo.eval_frame import innermost_fn
    assert torch._dynamo.eval_frame.innermost_fn is innermost_fn and torch._dynamo.__file__, "a part of another compiler"
    assert torch._dynamo.config.verbose in (True, False)
assert sys.modules["torch._dynamo.eval_frame"].__spec__.name == "torch._dynamo.eval_frame"
"""

GROUP = """
import torch
from appliance.stages.language_model import lean_transformers
from transformers.utils import is_torch_distributed_available
from transformers.distributed.sharding_utils import DTensor
assert is_torch_distributed_available()
"""


def said_by(program: str, *arguments: str, **more: str) -> str:
    """What a program prints in an interpreter of its own."""
    command = [sys.executable, "-W", "ignore", "-c", program, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | more)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "pip install" not in done.stderr, "nobody without a network is told to install something"
    return done.stdout


def test_no_compiler_at_the_start() -> None:
    """The stage is imported and steps are taken without the compiler, torch's functions are back afterwards, NF4 and AdamW are exact."""
    said_by(TRAINING)


def test_all_names_are_there_when_one_is_wanted() -> None:
    """transformers knows few names at first; asked for another it knows what it knows when it is imported ordinarily."""
    assert said_by(NAMES, "lean") == said_by(NAMES)


def test_the_compiler_takes_its_place_when_needed() -> None:
    """Marks leave functions as they were written; a part of the compiler that has no stand-in is the real one, in the real compiler."""
    said_by(STAND_IN)


def test_a_group_has_its_tools() -> None:
    """Of several processes that train together each has transformers with all that shares tensors out."""
    said_by(GROUP, WORLD_SIZE="2", RANK="0")
