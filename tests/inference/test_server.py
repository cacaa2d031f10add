"""llama-server as a child: started, refused, killed, stopped."""

from __future__ import annotations

import gc
import os
import signal
import socket as sockets
import subprocess
import sys
import time
from pathlib import Path

import pytest

from appliance.domain.conversation import Message
from appliance.domain.errors import ApplianceError, ExitCode
from appliance.inference.client import Sampling
from appliance.inference.server import LlamaServer, ServerSettings, find_llama_server, running_server
from appliance.texts.speech import LANGUAGES, explain
from tests.inference.conftest import TinyModel

QUESTION = [Message(role="user", content="绿灯什么时候亮？")]
SMALL = ServerSettings(context_length=256, threads=1)
LONG = ServerSettings(context_length=4096, threads=1)
ENDLESS = Sampling(temperature=0, max_tokens=4000)  # greedily, a random model repeats itself and takes half a second for this


def command_line(pid: int) -> list[str]:
    """The arguments a process was started with; empty when there is none."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().split("\0")[:-1]
    except FileNotFoundError:
        return []


def test_found_without_importing_the_library() -> None:
    """The program is found inside the package while the package stays unimported."""
    code = (
        "import sys; from appliance.inference.server import find_llama_server; find_llama_server(); assert 'llama_cpp' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    assert find_llama_server().name == "llama-server"


def test_light_to_import() -> None:
    """Importing client, server and gateway loads no HTTP library and nothing heavy."""
    code = (
        "import sys; import appliance.inference.client, appliance.inference.server, appliance.inference.gateway\n"
        "print([name for name in ('httpx2', 'ssl', 'asyncio', 'llama_cpp', 'numpy', 'concurrent.futures') if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, check=True).stdout == b"[]\n"


def test_answers_and_leaves_nothing(qwen: TinyModel, tmp_path: Path) -> None:
    """A server answers on a socket in a private folder; afterwards process, socket and folder are gone."""
    with running_server(qwen.gguf, log=tmp_path / "log", settings=SMALL) as server:
        folder = server.socket.parent
        assert folder.stat().st_mode & 0o777 == 0o700
        with server.client() as client:
            assert client.chat(QUESTION, Sampling(max_tokens=3)).completion_tokens > 0
        arguments = command_line(server.child.pid)
        assert arguments[0].endswith("llama-server")
    assert server.child.poll() is not None
    assert not folder.exists()
    assert command_line(server.child.pid) == []


def test_no_network_is_opened(server: LlamaServer) -> None:
    """The server listens on its UNIX socket alone: it has no internet socket of any kind."""
    descriptors = Path(f"/proc/{server.child.pid}/fd").iterdir()
    targets = {str(path.readlink()) for path in descriptors}
    inodes = {target[8:-1] for target in targets if target.startswith("socket:")}
    for table in ("tcp", "tcp6", "udp", "udp6"):
        lines = Path(f"/proc/{server.child.pid}/net/{table}").read_text().splitlines()[1:]
        assert not inodes & {line.split()[9] for line in lines}


@pytest.mark.parametrize("variable", ["LLAMA_ARG_TOOLS", "LLAMA_ARG_ENDPOINT_SLOTS", "LLAMA_API_KEY", "LLAMA_ARG_CTX_SIZE"])
def test_foreign_variables_do_nothing(qwen: TinyModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    """What somebody has set in the environment neither opens nor closes anything."""
    monkeypatch.setenv(variable, "64" if variable.endswith("SIZE") else "all")
    with running_server(qwen.gguf, log=tmp_path / "log", settings=SMALL) as server, server.client() as client:
        assert client.properties()["default_generation_settings"]["n_ctx"] == 256
        for path in ("/tools", "/slots", "/metrics", "/cors-proxy?url=http://localhost", "/index.html"):
            assert client._http.get(path).status_code in (403, 404, 501)
        assert client._http.post("/props", json={}).status_code == 501
        assert "access-control-allow-origin" not in client._http.get("/health", headers={"Origin": "http://evil.example"}).headers


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (None, "gguf_not_found"),
        (b"", "not_a_gguf"),
        (b"PK\x03\x04 a zip file", "not_a_gguf"),
        (b"GGUF", "model_not_loaded"),
        (b"GGUF\x03\x00\x00\x00" + b"\xff" * 64, "model_not_loaded"),
    ],
)
def test_bad_model_files(tmp_path: Path, content: bytes | None, code: str) -> None:
    """What is no model is refused with its name, in words and with a hint, and nothing keeps running."""
    path = tmp_path / "model.gguf"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ApplianceError, match=code) as caught, running_server(path, log=tmp_path / "log", settings=SMALL):
        pass
    assert caught.value.exit_code is ExitCode.BAD_DATA
    for language in LANGUAGES:
        message, hint = explain(caught.value, language)
        assert str(path) in message
        assert hint
        assert "{" not in message


def test_truncated_model(qwen: TinyModel, tmp_path: Path) -> None:
    """A model file that was cut off is refused with llama.cpp's own reason."""
    path = tmp_path / "cut.gguf"
    path.write_bytes(qwen.gguf.read_bytes()[:-1000])
    with pytest.raises(ApplianceError, match="model_not_loaded") as caught, running_server(path, log=tmp_path / "log", settings=SMALL):
        pass
    assert "not within the file bounds" in caught.value.parameters["reason"]


def test_a_folder_is_no_model(tmp_path: Path) -> None:
    """A folder in the place of the file is named as not readable."""
    with pytest.raises(ApplianceError, match="gguf_not_readable"), running_server(tmp_path, log=tmp_path / "log"):
        pass


def test_not_ready_in_time(qwen: TinyModel, tmp_path: Path) -> None:
    """A server that takes too long is given up and ended."""
    late = pytest.raises(ApplianceError, match="server_not_ready")
    with late, running_server(qwen.gguf, log=tmp_path / "log", settings=SMALL, ready_within=0.0):
        pass


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGKILL, "server_killed"), (signal.SIGSEGV, "server_crashed"), (signal.SIGTERM, "server_done")]
)
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # httpx2 leaves refused sockets to the collector
def test_death_between_questions(qwen: TinyModel, tmp_path: Path, number: signal.Signals, code: str) -> None:
    """When the server dies, the next question fails with the cause of the death."""

    def ask_before_and_after() -> None:
        with running_server(qwen.gguf, log=tmp_path / "log", settings=SMALL) as server, server.client() as client:
            client.chat(QUESTION, Sampling(max_tokens=2))
            os.kill(server.child.pid, number)
            server.child.wait(30)
            client.chat(QUESTION, Sampling(max_tokens=2))

    with pytest.raises(ApplianceError, match=code):
        ask_before_and_after()
    gc.collect()


def test_death_in_the_middle_of_an_answer(qwen: TinyModel, tmp_path: Path) -> None:
    """A server that is killed while it writes breaks the answer off with that cause, after the pieces that came."""
    pieces = []

    def ask_and_kill() -> None:
        with (
            running_server(qwen.gguf, log=tmp_path / "log", settings=LONG) as server,
            server.client() as client,
            client.stream(QUESTION, ENDLESS) as answer,
        ):
            for piece in answer:
                pieces.append(piece)
                os.kill(server.child.pid, signal.SIGKILL)

    with pytest.raises(ApplianceError, match="server_killed"):
        ask_and_kill()
    assert pieces


def test_leaving_in_the_middle_of_an_answer(qwen: TinyModel, tmp_path: Path) -> None:
    """A server is ended at once when its block is left while it writes, by an error or by Ctrl-C."""
    seen: list[tuple[int, float]] = []

    def ask_and_leave() -> None:
        with (
            running_server(qwen.gguf, log=tmp_path / "log", settings=LONG) as server,
            server.client() as client,
            client.stream(QUESTION, ENDLESS) as answer,
        ):
            next(iter(answer))
            seen.append((server.child.pid, time.monotonic()))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ask_and_leave()
    ((pid, leaving),) = seen
    assert time.monotonic() - leaving < 2
    assert command_line(pid) == []


def test_dies_with_its_parent(qwen: TinyModel, tmp_path: Path) -> None:
    """A parent that is killed takes its server with it."""
    code = (
        "import os, signal; from pathlib import Path; from appliance.inference.server import running_server, ServerSettings\n"
        f"with running_server(Path({str(qwen.gguf)!r}), log=Path({str(tmp_path / 'log')!r}), runtime_folder=Path('/tmp')) as server:\n"
        "    print(server.child.pid, server.socket.parent, flush=True); os.kill(os.getpid(), signal.SIGKILL)"
    )
    told = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, check=False).stdout.decode().split()
    deadline = time.monotonic() + 20
    while "llama-server" in "".join(command_line(int(told[0]))) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert command_line(int(told[0])) == []
    for path in Path(told[1]).iterdir():  # what a kill leaves behind; the next start after a minute would remove it
        path.unlink()
    Path(told[1]).rmdir()


def test_port_beside_the_socket(qwen: TinyModel, tmp_path: Path) -> None:
    """With further places to listen at, the private socket stays the one that the client uses."""
    with sockets.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    running = running_server(qwen.gguf, log=tmp_path / "log", settings=SMALL, also_at=["127.0.0.1"], port=port)
    with running, sockets.create_connection(("127.0.0.1", port), 5) as connection:
        connection.sendall(b"GET /health HTTP/1.0\r\n\r\n")
        assert b"200" in connection.recv(100)
