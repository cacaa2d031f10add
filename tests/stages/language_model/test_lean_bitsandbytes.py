"""bitsandbytes is imported without torch's compiler, and everything that is used of it works."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import sys
import torch
before = torch.compile
import appliance.stages.train
assert torch.compile is before
assert "torch._inductor.compile_fx" not in sys.modules, "the compiler was imported"
from bitsandbytes.functional import dequantize_4bit, quantize_4bit
weight = torch.randn(64, 64)
small, state = quantize_4bit(weight, quant_type="nf4", compress_statistics=True)
assert (dequantize_4bit(small, state) - weight).abs().mean() < 0.1
"""


@pytest.mark.slow
def test_no_compiler_at_the_start() -> None:
    """The stage is imported without the compiler, torch's own function is back afterwards, and NF4 works."""
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", PROGRAM], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
