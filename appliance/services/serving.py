"""Serving a model to other programs of the department."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from appliance.inference.gateway import Endpoint, serve
from appliance.inference.server import ServerSettings
from appliance.services.chat import default_context, gpu_layers
from appliance.services.workbench import Workbench

__all__ = ["Endpoint", "serve_model"]

LOG_FILE = "serve.log"


def serve_model(
    workbench: Workbench,
    key: str,
    *,
    at_socket: Path | None,
    port: int | None,
    slots: int,
    context_length: int | None,
    group_may_use: bool,
    ready: Callable[[Endpoint], None],
) -> None:
    """Serve a GGUF model until this process is told to leave; ``ready`` is called when it answers.

    Without a socket and a port the socket is ``serve/NAME.sock`` below the home. Raises ``model_unknown``, ``model_not_servable`` and
    what the gateway may raise.
    """
    model = workbench.models.get_servable(key)
    if at_socket is None and port is None:
        at_socket = workbench.home.root / "serve" / f"{model.name}.sock"
        at_socket.parent.mkdir(mode=0o750, exist_ok=True)
    settings = ServerSettings(
        alias=model.name, context_length=context_length or default_context(model), slots=slots, gpu_layers=gpu_layers(workbench)
    )
    serve(
        Path(model.path),
        log=workbench.home.root / LOG_FILE,
        ready=ready,
        at_socket=at_socket,
        group_may_use=group_may_use,
        port=port,
        settings=settings,
    )
