"""llama-server as a supervised child: found, started with everything off that is not needed, waited for, stopped.

What a caller of its socket can reach: ``/v1/chat/completions``, ``/v1/completions``, ``/v1/models``, ``/v1/responses``, ``/v1/messages``
and their older names, ``/tokenize``, ``/detokenize``, ``/apply-template``, ``/infill``, ``/lora-adapters``, ``/health`` and ``GET /props``
(which shows the model's path). Off: the web UI, ``/slots``, ``/metrics``, changing properties, tools, MCP and its proxy, media files,
embeddings and reranking, every download, and all ``LLAMA_*`` variables that somebody may have set.
"""

from __future__ import annotations

import importlib.util
import os
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from appliance.domain.errors import ApplianceError, ExitCode
from appliance.inference.client import LOST_SERVER, Client
from appliance.inference.runtime_folder import private_folder
from appliance.processes.child import Child, spawn
from appliance.processes.ending import Ending
from appliance.processes.logs import trim_log
from appliance.processes.room import physical_cores

READY_WITHIN = 600.0
"""Seconds; a 14 B model from a slow disk takes minutes."""
_LEAVE_WITHIN = 5.0
_LOOK_AGAIN = 0.05
_PROMPT_CACHE_MIB = 512
"""Kept of earlier conversations in main memory; llama.cpp's own default is 8 GiB."""
_FOREIGN_VARIABLES = ("LLAMA_", "AIP_", "HF_")
"""Prefixes of what changes llama-server's behaviour behind our back: options, Google's platform mode, access tokens."""


@dataclass(frozen=True, kw_only=True)
class ServerSettings:
    """How a model is held ready."""

    alias: str = ""
    """The model's name in the API; empty for the file's name."""
    context_length: int = 4096
    """Tokens of one conversation, question and answer together; 0 takes the length the model was trained for."""
    slots: int = 1
    """Conversations at the same time; each has its own context."""
    threads: int | None = None
    """Processor threads; None takes every core that this process may use."""
    gpu_layers: int | Literal["auto", "all"] = "auto"
    """Layers on the GPU: as many as fit, all, or a number; 0 leaves the GPU alone altogether."""


@dataclass(frozen=True)
class LlamaServer:
    """A server that has loaded its model and answers on ``socket``."""

    child: Child
    socket: Path

    def client(self) -> Client:
        """A new client of this server; closing it is the caller's."""
        return Client(self.socket)


@contextmanager
def running_server(
    gguf: Path,
    *,
    log: Path,
    settings: ServerSettings | None = None,
    runtime_folder: Path | None = None,
    also_at: Sequence[str] = (),
    port: int | None = None,
    ready_within: float = READY_WITHIN,
) -> Iterator[LlamaServer]:
    """A server of the model ``gguf`` for the length of the block; it dies with this process, however that ends.

    ``runtime_folder`` is where the folder of its socket is made. It listens in further places as well: ``also_at`` are paths that end
    in ``.sock``, or addresses, which need a ``port``. An error of the client in the block which comes from the server's death is raised
    as that death's cause.
    """
    require_gguf(gguf)
    program = find_llama_server()
    with private_folder(runtime_folder) as folder:
        socket = folder / "llama.sock"
        command = [str(program), *_options(gguf, settings or ServerSettings())]
        command += ["--host", ",".join([str(socket), *also_at])]
        command += ["--port", str(port)] if port is not None else []
        trim_log(log)
        child = spawn(command, log=log, env=_environment(), death_signal=signal.SIGKILL)
        with child, _cause_of_death_named(child):
            _wait_until_ready(child, socket, gguf, ready_within)
            yield LlamaServer(child, socket)
            child.stop(_LEAVE_WITHIN)


def find_llama_server() -> Path:
    """The program inside the installed llama_cpp package, which is not imported for that."""
    package = importlib.util.find_spec("llama_cpp")
    for folder in (package and package.submodule_search_locations) or ():
        program = Path(folder) / "bin" / "llama-server"
        if os.access(program, os.X_OK):
            return program
    raise ApplianceError("llama_server_missing", ExitCode.RUN_FAILED)


def require_gguf(path: Path) -> None:
    """Raise unless ``path`` is a readable file that begins as GGUF does."""
    try:
        with path.open("rb") as file:
            magic = file.read(4)
    except FileNotFoundError:
        raise ApplianceError("gguf_not_found", path=str(path)) from None
    except OSError as error:
        raise ApplianceError("gguf_not_readable", path=str(path), reason=error.strerror or str(error)) from error
    if magic != b"GGUF":
        raise ApplianceError("not_a_gguf", path=str(path))


def _options(gguf: Path, settings: ServerSettings) -> list[str]:
    options = ["--model", str(gguf.absolute()), "--alias", settings.alias or gguf.stem]
    options += ["--parallel", str(settings.slots), "--ctx-size", str(settings.context_length * settings.slots)]
    options += ["--gpu-layers", str(settings.gpu_layers), "--cache-ram", str(_PROMPT_CACHE_MIB)]
    options += ["--offline", "--no-webui", "--no-slots", "--cors-origins", "localhost", "--no-cors-credentials"]
    # The model's own template, and what comes out of the model as it is: no prefilled turn, no parsing of thoughts or tool calls.
    options += ["--jinja", "--no-prefill-assistant", "--reasoning-format", "none"]
    options += ["--log-colors", "off"]
    options += ["--threads", str(settings.threads or physical_cores())]  # by itself it counts those of the whole machine
    if settings.gpu_layers == 0:
        options += ["--device", "none"]
    return options


def _environment() -> dict[str, str]:
    ours = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN_VARIABLES)}
    return {**ours, "LLAMA_ARG_OFFLINE": "1", "GGML_NO_BACKTRACE": "1", "OMP_WAIT_POLICY": "passive"}


def _wait_until_ready(child: Child, socket: Path, gguf: Path, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    with Client(socket) as client:
        while not client.is_ready():
            if (ending := child.poll()) is not None:
                raise _not_started(gguf, ending)
            if time.monotonic() > deadline:
                raise ApplianceError("server_not_ready", ExitCode.RUN_FAILED, path=str(gguf), seconds=seconds)
            time.sleep(_LOOK_AGAIN)


def _not_started(gguf: Path, ending: Ending) -> ApplianceError:
    """llama-server returns 1 for a model that it cannot load, and says why some lines before its last."""
    if ending.kind != "failed":
        return ending.error("server")
    lines = ending.log_tail.splitlines()
    reasons = [line for line in lines if "error" in line.lower() or "failed" in line.lower()]
    return ApplianceError("model_not_loaded", path=str(gguf), reason=(reasons or lines or [""])[0][-200:])


@contextmanager
def _cause_of_death_named(child: Child) -> Iterator[None]:
    try:
        yield
    except ApplianceError as error:
        if error.code not in LOST_SERVER:
            raise
        try:
            ending = child.wait(1.0)  # the broken connection is seen some moments before the death
        except TimeoutError:
            raise error from None
        raise ending.error("server") from error
