"""What tests of several stages stand on. Heavy libraries are imported only by those who ask for a model."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from appliance.stages.language_model.device import Device


@pytest.fixture(autouse=True)
def _quiet_libraries() -> Iterator[None]:
    """Peft reads what transformers has renamed."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`is_gradient_checkpointing` is deprecated", FutureWarning)
        yield


@pytest.fixture(scope="session", params=["qwen2", "llama"])
def base(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base with biases (Qwen2) and one without (Llama)."""
    from tests.stages.export.tiny_base import make_base

    return make_base(tmp_path_factory.mktemp("bases") / request.param, request.param)


@pytest.fixture(scope="session")
def qwen2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Qwen2 base with a ChatML template."""
    from tests.stages.export.tiny_base import make_base

    return make_base(tmp_path_factory.mktemp("qwen2") / "base", "qwen2")


@pytest.fixture(scope="session")
def cpu() -> Device:
    """The processor."""
    from appliance.stages.language_model.device import choose_device

    return choose_device("cpu", lambda _event: None)
