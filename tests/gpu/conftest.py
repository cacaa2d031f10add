"""The GPU that these tests need. With ``GREENWAVE_REHEARSE=1`` a processor stands in, so that the tests themselves can be tried without."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from appliance.stages.language_model.device import Device, choose_device
from tests.stages.export.tiny_base import make_base

REHEARSED = os.environ.get("GREENWAVE_REHEARSE") == "1"


@pytest.fixture(autouse=True)
def _quiet_libraries() -> Iterator[None]:
    """peft and transformers warn about each other's future."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=FutureWarning)
        yield


@pytest.fixture(scope="session")
def gpu() -> Device:
    """The GPU; where there is none the test is left out."""
    if REHEARSED:
        return Device("cpu", "rehearsal", torch.bfloat16)
    if not torch.cuda.is_available():
        pytest.skip("there is no GPU")
    return choose_device("cuda", lambda _event: None)


@pytest.fixture(scope="session", params=["qwen2", "llama"])
def base(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base with heads of 64, as real ones have, with biases (Qwen2) and without (Llama)."""
    shape: dict[str, Any] = {"hidden_size": 256, "intermediate_size": 512, "num_attention_heads": 4, "num_key_value_heads": 2}
    return make_base(tmp_path_factory.mktemp("bases") / request.param, request.param, **shape)
