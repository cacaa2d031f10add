"""Tiny bases of both families and silence from libraries."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.stages.language_model.device import Device, choose_device
from tests.stages.export.tiny_base import make_base


@pytest.fixture(autouse=True)
def _quiet_libraries() -> Iterator[None]:
    """peft and transformers warn about each other's future."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=FutureWarning)
        yield


@pytest.fixture(scope="session", params=["qwen2", "llama"])
def base(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base with biases (Qwen2) and one without (Llama)."""
    return make_base(tmp_path_factory.mktemp("bases") / request.param, request.param)


@pytest.fixture(scope="session")
def qwen2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Qwen2 base with a ChatML template."""
    return make_base(tmp_path_factory.mktemp("qwen2") / "base", "qwen2")


@pytest.fixture(scope="session")
def cpu() -> Device:
    """The processor."""
    return choose_device("cpu", lambda _event: None)
