"""Tiny bases and adapters, made once per session."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from appliance.domain.event import Artifact, Event, Produced, Progress, Started
from appliance.domain.recipe import ExportRecipe
from appliance.domain.spec import ExportSpec
from appliance.stages.export import run
from appliance.stages.export.ggml_backends import load_backends
from tests.stages.export.tiny_base import FAMILIES, make_adapter, make_base

# Tests load models into their own process, too.
load_backends()


class Export:
    """Runs the stage; ``events`` are those of the last run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.events: list[Event] = []

    def __call__(self, base: Path, adapter: Path | None = None, *, kind: str = "q4_k_m", **settings: Any) -> Artifact:
        """Export and give the one artifact; ``settings`` are fields of the specification."""
        self.events = []
        output = settings.pop("output", None) or self.folder / f"{len(list(self.folder.iterdir()))}.gguf"
        recipe = settings.pop("recipe", None) or ExportRecipe(type=kind)  # type: ignore[arg-type]  # tests use a type that nobody is offered
        run(ExportSpec(base=str(base), adapter=str(adapter or ""), output=str(output), recipe=recipe, **settings), self.events.append)
        (artifact,) = [event.artifact for event in self.events if isinstance(event, Produced)]
        return artifact

    def counted(self) -> tuple[int | None, int]:
        """What the first bar promised to count to, and where it ended."""
        starts = [place for place, event in enumerate(self.events) if isinstance(event, Started)]
        first = self.events[starts[0]]
        assert isinstance(first, Started)
        return first.total, [event.done for event in self.events[: [*starts, None][1]] if isinstance(event, Progress)][-1]


@pytest.fixture(autouse=True)
def _quiet_libraries() -> Iterator[None]:
    """peft reads what transformers has renamed, and warns of what its own merge does to tied embeddings."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Model has `tie_word_embeddings=True`", UserWarning)
        warnings.filterwarnings("ignore", "`is_gradient_checkpointing` is deprecated", FutureWarning)
        yield


@pytest.fixture(scope="session", params=sorted(FAMILIES))
def family(request: pytest.FixtureRequest) -> str:
    """Each family in turn."""
    return str(request.param)


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory, family: str) -> Path:
    """A base whose matrices K-quants apply to."""
    place = tmp_path_factory.mktemp("bases") / family
    return make_base(place, family, hidden_size=256, intermediate_size=512, num_attention_heads=8)


@pytest.fixture(scope="session")
def adapter(tmp_path_factory: pytest.TempPathFactory, base: Path) -> Path:
    """A LoRA adapter on all linear layers of ``base``."""
    return make_adapter(tmp_path_factory.mktemp("adapters") / "lora", base)


@pytest.fixture
def export(tmp_path: Path) -> Export:
    """Run the stage and give what it produced."""
    return Export(tmp_path)
