"""Chat: a model held ready by llama.cpp, and conversations with it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Literal

from appliance.domain.model import Model
from appliance.inference.client import Answer, Client, Sampling
from appliance.inference.server import ServerSettings, running_server
from appliance.services.workbench import Workbench

__all__ = ["Answer", "Client", "HeldModel", "Sampling", "default_context", "gpu_layers", "open_chat"]

LOG_FILE = "chat.log"


@contextmanager
def open_chat(workbench: Workbench, key: str, context_length: int | None = None) -> Iterator[Client]:
    """Hold a GGUF model ready for the length of the block.

    ``context_length`` is in tokens; by default what the model was trained for, but not more than 4096. Raises ``model_unknown``,
    ``model_not_servable`` and what the server may raise.
    """
    model = workbench.models.get_servable(key)
    settings = ServerSettings(alias=model.name, context_length=context_length or default_context(model), gpu_layers=gpu_layers(workbench))
    with running_server(Path(model.path), log=workbench.home.root / LOG_FILE, settings=settings) as server, server.client() as client:
        yield client


class HeldModel:
    """A model held ready until ``close``, for those who talk to it now and then; threads may share it."""

    def __init__(self, workbench: Workbench, key: str) -> None:
        """Start the server. Raises what ``open_chat`` raises."""
        with ExitStack() as stack:
            self.client = stack.enter_context(open_chat(workbench, key))
            self._stack = stack.pop_all()

    def close(self) -> None:
        """Let the server end."""
        self._stack.close()


def default_context(model: Model) -> int:
    """Tokens of context for a model when nobody says how many."""
    return min(4096, int(model.facts.get("context_length") or 4096))


def gpu_layers(workbench: Workbench) -> int | Literal["auto"]:
    """``auto``, or none on the GPU while a heavy stage may be using it: chat falls back to the processor."""
    return 0 if workbench.runs.heavy_stage_is_running() else "auto"
