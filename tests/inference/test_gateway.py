"""Serving a model to other programs: sockets, permissions, ports, orders to leave."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket as sockets
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from appliance.domain.conversation import Message
from appliance.domain.errors import ApplianceError, ExitCode
from appliance.inference.client import Client, Sampling
from appliance.inference.gateway import serve
from appliance.processes.logs import KEPT, MOST
from appliance.texts.speech import LANGUAGES, explain
from tests.inference.conftest import TinyModel

Gateway = subprocess.Popen[bytes]

SERVE = """
import json, sys
from pathlib import Path
from appliance.domain.errors import ApplianceError
from appliance.inference import gateway
from appliance.inference.gateway import serve
from appliance.inference.server import ServerSettings
gateway.LOG_LOOK = 0.2
options = json.loads(sys.argv[1])
place = options.pop("at_socket", None)
try:
    serve(Path(options.pop("gguf")), log=Path(options.pop("log")), at_socket=Path(place) if place else None,
          settings=ServerSettings(alias="tiny", context_length=256, threads=1),
          ready=lambda endpoint: print(endpoint.url or endpoint.socket, flush=True), **options)
except ApplianceError as error:
    print(error.code, flush=True)
    raise SystemExit(int(error.exit_code))
"""


@pytest.fixture
def short() -> Iterator[Path]:
    """A short folder that is empty again at the end."""
    with tempfile.TemporaryDirectory(prefix="gw", dir="/tmp") as folder:
        yield Path(folder)
        assert not list(Path(folder).iterdir())


@pytest.fixture
def gateway(qwen: TinyModel, tmp_path: Path) -> Iterator[Callable[..., Gateway]]:
    """Starts a serving process; ended at the end of the test, and what a killed one leaves behind goes, too."""
    started: list[Gateway] = []
    with tempfile.TemporaryDirectory(prefix="gw", dir="/tmp") as runtime_folder:
        environment = {**os.environ, "XDG_RUNTIME_DIR": runtime_folder}

        def start(**options: object) -> Gateway:
            told = json.dumps({"gguf": str(qwen.gguf), "log": str(tmp_path / "log"), **options})
            started.append(subprocess.Popen([sys.executable, "-c", SERVE, told], stdout=subprocess.PIPE, env=environment))
            return started[-1]

        yield start
        for process in started:
            with process:
                process.kill()


def first_line(process: Gateway) -> str:
    """What the process says when it is ready, or why it is not."""
    assert process.stdout is not None
    return process.stdout.readline().decode().strip()


def children_of(pid: int) -> list[int]:
    """Direct children of a process."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def is_gone(pid: int, seconds: float = 20.0) -> bool:
    """Whether a process that is nobody's child here is gone within some seconds."""
    deadline = time.monotonic() + seconds
    while Path(f"/proc/{pid}").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    return not Path(f"/proc/{pid}").exists()


@pytest.mark.parametrize("order", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_serves_until_told_to_leave(gateway: Callable[..., Gateway], short: Path, order: signal.Signals) -> None:
    """The socket has any name the user likes, is this user's alone, answers, and goes with the server at an order to leave."""
    place = short / "api"
    process = gateway(at_socket=str(place))
    assert first_line(process) == str(place)
    assert stat.S_IMODE(place.stat().st_mode) == 0o600
    assert list(short.iterdir()) == [place]
    with Client(place) as client:
        assert client.chat([Message(role="user", content="你好")], Sampling(max_tokens=3, temperature=0)).completion_tokens == 3
    (server,) = children_of(process.pid)
    process.send_signal(order)
    assert process.wait(30) == 0
    assert is_gone(server)


def test_the_log_of_a_long_service_stays_short(gateway: Callable[..., Gateway], short: Path, tmp_path: Path) -> None:
    """A log that has grown too long is cut at the start and again and again while the model is served."""
    log, words = tmp_path / "log", b"a line of an earlier service\n" * 200_000
    log.write_bytes(words)
    place = short / "api.sock"
    process = gateway(at_socket=str(place))
    assert first_line(process) == str(place)
    assert KEPT // 2 < log.stat().st_size < MOST
    with log.open("ab") as file:
        file.write(words)
    deadline = time.monotonic() + 20
    while log.stat().st_size > MOST:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0


def test_group_may_use(gateway: Callable[..., Gateway], short: Path) -> None:
    """On request the group may use the socket, others never."""
    process = gateway(at_socket=str(short / "api.sock"), group_may_use=True)
    first_line(process)
    assert stat.S_IMODE((short / "api.sock").stat().st_mode) == 0o660
    process.terminate()
    process.wait(30)


def test_told_to_leave_while_loading(gateway: Callable[..., Gateway], short: Path) -> None:
    """An order that comes before the model is loaded leaves nothing behind either."""
    process = gateway(at_socket=str(short / "api.sock"))
    deadline = time.monotonic() + 30
    while not list(short.iterdir()) and time.monotonic() < deadline:
        time.sleep(0.001)
    process.terminate()
    assert process.wait(30) == 0


def test_leftover_socket_is_replaced(gateway: Callable[..., Gateway], short: Path) -> None:
    """A socket that a killed server left is no obstacle; that of a living one is."""
    place = short / "api.sock"
    killed = gateway(at_socket=str(place))
    first_line(killed)
    (server,) = children_of(killed.pid)
    killed.kill()
    assert is_gone(server)
    assert place.is_socket()
    living = gateway(at_socket=str(place))
    assert first_line(living) == str(place)
    second = gateway(at_socket=str(place))
    assert first_line(second) == "socket_in_use"
    assert second.wait(30) == ExitCode.BUSY
    assert place.is_socket()
    living.terminate()
    living.wait(30)


def test_server_that_dies(gateway: Callable[..., Gateway], short: Path) -> None:
    """When llama-server dies, serving ends with the cause, and the socket goes."""
    process = gateway(at_socket=str(short / "api.sock"))
    first_line(process)
    os.kill(children_of(process.pid)[0], signal.SIGKILL)
    assert first_line(process) == "server_killed"
    assert process.wait(30) == ExitCode.RUN_FAILED


def free_port() -> int:
    """A port that nobody used a moment ago."""
    with sockets.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def test_port_of_this_machine(gateway: Callable[..., Gateway]) -> None:
    """With a port, OpenAI's interface answers on 127.0.0.1, and a page of another origin may not read it."""
    port = free_port()
    process = gateway(port=port)
    assert first_line(process) == f"http://127.0.0.1:{port}/v1"
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", "/v1/models", headers={"Origin": "http://evil.example"})
    response = connection.getresponse()
    assert [model["id"] for model in json.load(response)["data"]] == ["tiny"]
    assert response.headers.get("Access-Control-Allow-Origin") is None
    connection.request("POST", "/v1/chat/completions", json.dumps({"messages": [{"role": "user", "content": "?"}], "max_tokens": 2}))
    assert json.load(connection.getresponse())["usage"]["completion_tokens"] == 2
    connection.close()
    listening = Path(f"/proc/{process.pid}/net/tcp").read_text()
    assert f" 0100007F:{port:04X} " in listening
    assert f" 00000000:{port:04X} " not in listening
    process.terminate()
    assert process.wait(30) == 0


def refused(qwen: TinyModel, tmp_path: Path, **options: object) -> ApplianceError:
    """The error with which serving is refused; it has words in both languages."""
    with pytest.raises(ApplianceError) as caught:
        serve(qwen.gguf, log=tmp_path / "log", ready=lambda _: None, **options)  # type: ignore[arg-type]  # passed on as given
    for language in LANGUAGES:
        message, hint = explain(caught.value, language)
        assert message
        assert hint
        assert "{" not in message + hint
    return caught.value


def test_places_where_no_socket_can_be(qwen: TinyModel, tmp_path: Path, short: Path) -> None:
    """Bad places are refused by name before a model is loaded, and what lies there stays."""
    (short / "file").write_text("kept")
    (short / "a,b").mkdir()
    cases = {
        "socket_path_too_long": short / ("x" * 100),
        "socket_path_has_comma": short / "a,b" / "api.sock",
        "socket_folder_unusable": short / "missing" / "api.sock",
        "socket_path_taken": short / "file",
    }
    for code, place in cases.items():
        error = refused(qwen, tmp_path, at_socket=place)
        assert (error.code, error.exit_code) == (code, ExitCode.USAGE)
    assert refused(qwen, tmp_path, at_socket=short / "a,b").code == "socket_path_taken"
    assert (short / "file").read_text() == "kept"
    (short / "file").unlink()
    (short / "a,b").rmdir()


def test_long_chinese_path_is_counted_in_bytes(qwen: TinyModel, tmp_path: Path, short: Path) -> None:
    """The limit is one of bytes: 40 Chinese characters are 120 of them."""
    error = refused(qwen, tmp_path, at_socket=short / ("路" * 40))
    assert error.parameters["length"] == len(os.fsencode(short)) + 1 + 120


def test_ports_that_cannot_be(qwen: TinyModel, tmp_path: Path) -> None:
    """A port out of range or in use is refused by name."""
    assert refused(qwen, tmp_path, port=0).code == "port_out_of_range"
    assert refused(qwen, tmp_path, port=65536).code == "port_out_of_range"
    with sockets.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        error = refused(qwen, tmp_path, port=busy.getsockname()[1])
        assert (error.code, error.exit_code) == ("port_in_use", ExitCode.BUSY)
