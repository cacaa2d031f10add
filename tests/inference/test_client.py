"""The client against a real server, and against a peer that answers with hostile bytes."""

from __future__ import annotations

import gc
import json
import socket as sockets
import tempfile
import threading
import unicodedata
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from appliance.domain.conversation import Message
from appliance.domain.errors import ApplianceError
from appliance.inference.client import Client, Sampling
from appliance.inference.server import LlamaServer
from tests.inference.conftest import TinyModel

QUESTION = [Message(role="user", content="绿灯什么时候亮？")]
GREEDY = Sampling(temperature=0, max_tokens=40)


@pytest.fixture(scope="module")
def client(server: LlamaServer) -> Iterator[Client]:
    """A client of the running server."""
    with server.client() as asking:
        yield asking


def test_answer(client: Client) -> None:
    """An answer has its text, the reason for its end, token counts and times."""
    answer = client.chat(QUESTION, GREEDY)
    assert answer.text
    assert answer.finish_reason == "length"
    assert answer.completion_tokens == 40
    assert answer.prompt_tokens == len(client.prompt_ids(QUESTION))
    assert 0 < answer.seconds_to_first_token < 30
    assert answer.tokens_per_second > 0


@pytest.mark.parametrize("seed", range(8))
def test_stream_is_the_answer_in_whole_characters(client: Client, seed: int) -> None:
    """A random model writes broken bytes and many multi-byte characters: the pieces joined are the answer, none is half a character."""
    sampling = Sampling(temperature=2.0, top_p=1.0, max_tokens=120, seed=seed)
    with client.stream(QUESTION, sampling) as pieces:
        streamed = list(pieces)
    assert pieces.answer is not None
    assert "".join(streamed) == pieces.answer.text
    assert len(streamed) > 10
    assert any(len(character.encode()) > 1 for character in pieces.answer.text)
    assert not any(unicodedata.category(character) == "Cs" for character in pieces.answer.text)


def test_same_seed_same_answer(client: Client) -> None:
    """With a seed an answer can be repeated; another seed gives another."""
    first, again, other = (client.chat(QUESTION, Sampling(temperature=1.5, max_tokens=30, seed=seed)).text for seed in (5, 5, 6))
    assert first == again != other


def test_what_the_model_wrote_is_what_is_told(client: Client) -> None:
    """Nothing between model and reader trims or parses: spaces, thoughts and tool calls come through as the model writes them."""
    written = (
        r'root ::= "\n <think>" [a-z ]{4} "</think> <tool_call>{}</tool_call> \n" [a-z ]{8} "  "'  # leaves a random model little choice
    )
    shared = {"temperature": 0, "grammar": written}
    completion = client._post("/completion", {"prompt": client.apply_template(QUESTION), "n_predict": 80, **shared})["content"]
    body = {"messages": [{"role": "user", "content": QUESTION[0].content}], "max_tokens": 80, **shared}
    told = client._post("/v1/chat/completions", body)["choices"][0]["message"]
    assert completion.startswith("\n <think>")
    assert completion.endswith("  ")
    assert told == {"role": "assistant", "content": completion}


def test_stop_text(client: Client) -> None:
    """A stop text ends the answer and is no part of it."""
    whole = client.chat(QUESTION, GREEDY).text
    middle = next(character for character in whole[2:] if character != "\ufffd")
    answer = client.chat(QUESTION, Sampling(temperature=0, max_tokens=40, stop=(middle,)))
    assert answer.finish_reason == "stop"
    assert whole.startswith(answer.text)
    assert middle not in answer.text


def test_prompt_too_long(client: Client) -> None:
    """A conversation beyond the context is refused with both numbers."""
    with pytest.raises(ApplianceError, match="prompt_too_long") as caught:
        client.chat([Message(role="user", content="长" * 2000)])
    assert caught.value.parameters["limit"] == 256
    assert caught.value.parameters["tokens"] > 2000


def test_context_used_up(client: Client) -> None:
    """An answer that fills the context ends there by length."""
    answer = client.chat(QUESTION, Sampling(max_tokens=10_000, temperature=1.5))
    assert answer.finish_reason in ("length", "stop")
    assert answer.prompt_tokens + answer.completion_tokens <= 256


def test_abandoned_answer_frees_its_slot(client: Client) -> None:
    """Leaving the stream early makes the server stop: the next questions are answered although there are two slots only."""
    for _ in range(4):
        with client.stream(QUESTION, Sampling(temperature=0, max_tokens=170)) as pieces:
            next(iter(pieces))
        assert pieces.answer is None
    assert client.chat(QUESTION, Sampling(max_tokens=3)).completion_tokens > 0


def test_several_at_once(client: Client) -> None:
    """Six threads share one client and two slots; each gets the answer to its own question."""
    questions = [[Message(role="user", content=f"问题{number}")] for number in range(6)]
    expected = [client.chat(question, GREEDY).prompt_tokens for question in questions]
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda question: client.chat(question, GREEDY), questions))
    assert [answer.prompt_tokens for answer in answers] == expected


def test_tokenize(client: Client, qwen: TinyModel) -> None:
    """Markers are text unless they are asked to be control tokens; a NUL and an empty text are no trouble."""
    marker = qwen.tokenizer.convert_tokens_to_ids("<|im_end|>")
    assert client.tokenize("<|im_end|>", parse_special=True) == [marker]
    assert marker not in client.tokenize("<|im_end|>")
    assert client.tokenize("") == []
    for text in ("a\x00b", "绿灯 😀"):
        assert client.tokenize(text) == qwen.tokenizer.encode(text, add_special_tokens=False)


def test_broken_halves_of_characters(client: Client) -> None:
    """Half a surrogate pair, which no encoding can carry, does not stop a question."""
    assert client.chat([Message(role="user", content="\ud83d?")], Sampling(max_tokens=2)).completion_tokens in (1, 2)  # it may end at once


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # httpx2 leaves refused sockets to the collector
def test_nobody_there(tmp_path: Path) -> None:
    """A socket that is not there is named."""
    with Client(tmp_path / "none.sock") as client:
        assert not client.is_ready()
        with pytest.raises(ApplianceError, match="server_unreachable"):
            client.chat(QUESTION)
    gc.collect()


def test_cannot_be_reached_through_a_proxy(monkeypatch: pytest.MonkeyPatch, client: Client) -> None:
    """Proxy variables of the environment do not divert a question."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:1")
    with Client(client.socket) as asking:
        assert asking.is_ready()


# ── a peer that says whatever we want ───────────────────────────────────────────────────────────────────────────────────────────────
Peer = Callable[[list[bytes]], Client]


@pytest.fixture
def peer() -> Iterator[Peer]:
    """Starts a peer that answers one request with these chunks, then closes; gives a client of it."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder, sockets.socket(sockets.AF_UNIX) as listening:
        path = Path(folder) / "peer.sock"
        listening.bind(str(path))
        listening.listen()
        threads, clients = [], []

        def answer(chunks: list[bytes]) -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(1 << 16)
                for chunk in chunks:
                    connection.sendall(chunk)
                connection.shutdown(sockets.SHUT_WR)
                while connection.recv(1 << 16):  # closed with something unread, a socket takes back what it has said
                    pass

        def start(chunks: list[bytes]) -> Client:
            threads.append(threading.Thread(target=answer, args=(chunks,)))
            threads[-1].start()
            clients.append(Client(path))
            return clients[-1]

        yield start
        for client in clients:
            client.close()
        for thread in threads:
            thread.join()


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"


def piece(text: str) -> str:
    """One event with a piece of text, in raw UTF-8."""
    return json.dumps({"choices": [{"delta": {"content": text}}]}, ensure_ascii=False)


def in_bytes(text: str) -> list[bytes]:
    """A text sent byte by byte, so that every character is split somewhere."""
    return [HEAD, *(bytes([byte]) for byte in text.encode())]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_events_by_the_standard(peer: Peer, end: str) -> None:
    """Comments, all three line ends, several data lines, other fields and separators inside JSON are read as the standard says."""
    text = "绿灯\u2028🚦\x85é"
    first, second = piece(text), piece("亮")
    half = second.index(",") if "," in second else second.index(":") + 1
    lines = [": ping", "", f"data: {first}", "id: 1", "", "event: message", f"data:{second[:half]}", f"data:{second[half:]}", "", ":", ""]
    client = peer(in_bytes(end.join([*lines, "data: [DONE]", "", ""])))
    assert client.chat(QUESTION).text == text + "亮"


def test_error_in_the_middle(peer: Peer) -> None:
    """An error among the events ends the answer with its reason, after the pieces before it."""
    error = json.dumps({"error": {"code": 500, "message": "Compute error.", "type": "server_error"}})
    client = peer(in_bytes(f"data: {piece('绿')}\n\ndata: {error}\n\n"))
    got: list[str] = []
    with pytest.raises(ApplianceError, match="server_refused") as caught, client.stream(QUESTION) as pieces:
        got.extend(pieces)
    assert caught.value.parameters["reason"] == "Compute error."
    assert got == ["绿"]


@pytest.mark.parametrize(
    "said",
    [
        [HEAD, f"data: {piece('绿')}\n\n".encode()],
        [HEAD, f"data: {piece('绿')}"[:-3].encode()],
        [HEAD, b"data: {\n\n"],
        [HEAD, b"data: [1]\n\n"],
        [HEAD.replace(b"event-stream", b"html"), b"<html>"],
        [HEAD.replace(b"Connection: close", b"Content-Length: 100"), b"data: "],
        [b"SSH-2.0-OpenSSH_9.2\r\n"],
        [b""],
    ],
    ids=["no end", "cut event", "broken JSON", "no object", "another type", "cut body", "another protocol", "nothing"],
)
def test_broken_off(peer: Peer, said: list[bytes]) -> None:
    """An answer without its proper end, or that is none, is never taken for a whole one."""
    with pytest.raises(ApplianceError, match="answer_broken_off"):
        peer(said).chat(QUESTION)


@pytest.mark.parametrize("body", [b"", b"[]", b'{"error": "text"}', b"<html>\xff", b'{"error": {}}'])
def test_refusals_in_any_form(peer: Peer, body: bytes) -> None:
    """An HTTP error with whatever body is a refusal with its status."""
    head = b"HTTP/1.1 500 No\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(body)
    with pytest.raises(ApplianceError, match="server_refused"):
        peer([head + body]).chat(QUESTION)
