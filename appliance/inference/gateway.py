"""A model for other programs: the OpenAI-compatible endpoint on a UNIX socket of the user's choice, or on a port of this machine.

llama-server itself listens there; this process watches it until it is told to leave. A socket appears in its place only when the model
is loaded, with its final permissions, so whoever finds it gets answers; a leftover of a killed server is replaced. What can be reached
is listed in ``server``. Messages arrive as the caller wrote them: who may use the socket decides the whole conversation, roles and
markers included, so a program that puts foreign text into a message has to treat markers as ``wording.plain_text`` does.
"""

from __future__ import annotations

import os
import signal
import socket
import stat
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from appliance.domain.errors import ApplianceError, ExitCode
from appliance.inference.runtime_folder import LONGEST_SOCKET_PATH, somebody_listens
from appliance.inference.server import ServerSettings, running_server
from appliance.processes.child import Child
from appliance.processes.ending import Ending
from appliance.processes.logs import trim_log
from appliance.processes.stopping import Stopped

ORDERS_TO_LEAVE = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
LOG_LOOK = 60.0
"""Seconds between two looks at the length of the log."""
_LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class Endpoint:
    """Where the model answers now."""

    socket: Path | None
    url: str | None
    """``http://127.0.0.1:8080/v1``, as OpenAI's clients want their base URL."""


def serve(
    gguf: Path,
    *,
    log: Path,
    ready: Callable[[Endpoint], None],
    at_socket: Path | None = None,
    group_may_use: bool = False,
    port: int | None = None,
    settings: ServerSettings | None = None,
) -> None:
    """Serve a model in the foreground until SIGINT, SIGTERM or SIGHUP; ``ready`` is called when it answers.

    ``at_socket`` may be used by this user alone (mode 0600), or by its group, too (0660). Must run in the main thread. Raises the cause
    if the server ends by itself; it is not started again.
    """
    with ExitStack() as at_the_end:
        also_at: list[str] = []
        if port is not None:
            _require_free_port(port)
            also_at.append(_LOOPBACK)
        hidden: Path | None = None
        if at_socket is not None:
            hidden = _hidden_name(_require_free_place(at_socket))
            also_at.append(str(hidden))
            at_the_end.callback(hidden.unlink, missing_ok=True)
        with _leaves_when_told(), running_server(gguf, log=log, settings=settings, also_at=also_at, port=port) as server:
            if at_socket is not None and hidden is not None:
                at_the_end.enter_context(_published_socket(hidden, at_socket.absolute(), 0o660 if group_may_use else 0o600))
            ready(Endpoint(at_socket, None if port is None else f"http://{_LOOPBACK}:{port}/v1"))
            raise _end_of(server.child, log).error("server")


def _end_of(child: Child, log: Path) -> Ending:
    """Wait for it, and keep the log short meanwhile: a model may be served for years, and every request is logged."""
    while True:
        try:
            return child.wait(LOG_LOOK)
        except TimeoutError:
            trim_log(log)


def _require_free_place(path: Path) -> Path:
    """The absolute path, after making sure that a socket can be there; one that nobody answers on does not count."""
    place = path.absolute()
    # The socket first has a hidden name, which may be longer than its own.
    length = max(len(os.fsencode(place)), len(os.fsencode(_hidden_name(place))))
    if length > LONGEST_SOCKET_PATH:
        raise ApplianceError("socket_path_too_long", ExitCode.USAGE, path=str(place), length=length, limit=LONGEST_SOCKET_PATH)
    if "," in str(place.parent):
        raise ApplianceError("socket_path_has_comma", ExitCode.USAGE, path=str(place))
    if not place.parent.is_dir() or not os.access(place.parent, os.W_OK | os.X_OK):
        raise ApplianceError("socket_folder_unusable", ExitCode.USAGE, path=str(place.parent))
    if place.exists() and not stat.S_ISSOCK(place.stat().st_mode):
        raise ApplianceError("socket_path_taken", ExitCode.USAGE, path=str(place))
    if somebody_listens(place):
        raise ApplianceError("socket_in_use", ExitCode.BUSY, path=str(place))
    return place


def _require_free_port(port: int) -> None:
    if not 1 <= port <= 65535:
        raise ApplianceError("port_out_of_range", ExitCode.USAGE, port=port)
    with socket.socket() as trying:
        trying.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trying.bind((_LOOPBACK, port))
        except PermissionError:
            raise ApplianceError("port_not_allowed", ExitCode.USAGE, port=port) from None
        except OSError:
            raise ApplianceError("port_in_use", ExitCode.BUSY, port=port) from None


def _hidden_name(place: Path) -> Path:
    return place.with_name(f".{os.urandom(4).hex()}.sock")


@contextmanager
def _published_socket(hidden: Path, place: Path, mode: int) -> Iterator[None]:
    """Give a socket its permissions, then its name; at the end remove it, unless another one has taken its place."""
    hidden.chmod(mode)
    ours = hidden.stat()
    hidden.rename(place)
    try:
        yield
    finally:
        if place.exists() and os.path.samestat(place.stat(), ours):
            place.unlink()


@contextmanager
def _leaves_when_told() -> Iterator[None]:
    """Leave the block quietly at the first order to; later ones do not disturb the leaving."""

    def leave(_signal: int, _frame: FrameType | None) -> None:
        for order in ORDERS_TO_LEAVE:
            signal.signal(order, signal.SIG_IGN)
        raise Stopped

    # What is ignored already stays so: nohup does that with SIGHUP, a shell with SIGINT for what it starts in the background.
    heard = [order for order in ORDERS_TO_LEAVE if signal.getsignal(order) is not signal.SIG_IGN]
    before = {order: signal.signal(order, leave) for order in heard}
    try:
        yield
    except Stopped:
        pass
    finally:
        for order, handler in before.items():
            signal.signal(order, handler)
