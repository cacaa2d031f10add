"""The client of llama-server: questions over its UNIX socket, answers in whole characters.

Every message goes through ``wording.plain_text``. The HTTP library is imported when the first client is made, since it costs 70 ms.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import msgspec

from appliance.domain.conversation import Message
from appliance.domain.errors import ApplianceError, ExitCode
from appliance.inference.runtime_folder import somebody_listens
from appliance.inference.wording import plain_text

if TYPE_CHECKING:
    import httpx2

LOST_SERVER = frozenset({"server_unreachable", "answer_broken_off"})
"""Codes of errors behind which the server's own end may stand."""

_FIRST_TOKEN_WITHIN = 900.0
"""Seconds without a byte; llama-server is silent until it has read the whole prompt, which takes minutes for a long one on a CPU."""


class Sampling(msgspec.Struct, frozen=True, kw_only=True):
    """How the next token is chosen; nothing that is not named here takes part."""

    temperature: float = 0.7
    """0 always takes the likeliest token."""
    top_p: float = 0.9
    """Only the likeliest tokens whose probabilities add up to this are drawn from."""
    max_tokens: int = 512
    stop: tuple[str, ...] = ()
    """Texts that end the answer and are not part of it."""
    seed: int | None = None
    """The same seed, question and settings give the same answer; None draws one."""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """A finished answer and what it took."""

    text: str
    finish_reason: str
    """``stop``: the model was done; ``length``: ``max_tokens`` or the context was used up."""
    prompt_tokens: int
    completion_tokens: int
    seconds_to_first_token: float
    """From sending the question to the first piece of text."""
    tokens_per_second: float
    """Of generation, as the server measured it; the prompt does not count."""


class _Delta(msgspec.Struct):
    content: str | None = None


class _Choice(msgspec.Struct):
    delta: _Delta
    finish_reason: str | None = None


class _Usage(msgspec.Struct):
    prompt_tokens: int = 0
    completion_tokens: int = 0


class _Timings(msgspec.Struct):
    predicted_per_second: float | None = None


class _Refusal(msgspec.Struct):
    """llama-server's word for an error."""

    message: str = ""
    code: int = 0
    type: str = ""
    n_prompt_tokens: int | None = None
    n_ctx: int | None = None


class _Chunk(msgspec.Struct):
    """One event of a streamed answer: what we read of OpenAI's ``chat.completion.chunk`` and llama-server's additions."""

    choices: list[_Choice] = []
    usage: _Usage | None = None
    timings: _Timings | None = None
    error: _Refusal | None = None


class _RefusalBody(msgspec.Struct):
    error: _Refusal


class AnswerStream:
    """Pieces of an answer as they come; afterwards ``answer`` is there."""

    def __init__(self, events: Iterator[Any], asked: float) -> None:
        self._events = events
        self._asked = asked
        self.answer: Answer | None = None
        """Set when the last piece has been taken."""

    def __iter__(self) -> Iterator[str]:
        pieces: list[str] = []
        first: float | None = None
        reason, usage, timings = "", _Usage(), _Timings()
        for chunk in self._chunks():
            usage, timings = chunk.usage or usage, chunk.timings or timings
            for choice in chunk.choices:
                reason = choice.finish_reason or reason
                if piece := choice.delta.content:
                    first = first or time.monotonic()
                    pieces.append(piece)
                    yield piece
        self.answer = Answer(
            text="".join(pieces),
            finish_reason=reason,
            prompt_tokens=usage.prompt_tokens,
            completion_tokens=usage.completion_tokens,
            seconds_to_first_token=(first or time.monotonic()) - self._asked,
            tokens_per_second=timings.predicted_per_second or 0.0,
        )

    def _chunks(self) -> Iterator[_Chunk]:
        for event in self._events:
            if event.data == "[DONE]":
                return
            try:
                chunk = msgspec.json.decode(event.data, type=_Chunk)
            except ValueError as error:
                raise ApplianceError("answer_broken_off", ExitCode.RUN_FAILED) from error
            if chunk.error is not None:
                raise _refusal(chunk.error)
            yield chunk
        raise ApplianceError("answer_broken_off", ExitCode.RUN_FAILED)


class Client:
    """Speaks to one llama-server; threads may share it."""

    def __init__(self, socket: Path) -> None:
        import httpx2

        self.socket = socket
        transport = httpx2.HTTPTransport(uds=str(socket), verify=False, trust_env=False)
        timeout = httpx2.Timeout(30.0, read=_FIRST_TOKEN_WITHIN, pool=None)
        self._http = httpx2.Client(transport=transport, base_url="http://llama", timeout=timeout, trust_env=False)

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def is_ready(self) -> bool:
        """Whether the server is there and has loaded its model."""
        import httpx2

        if not somebody_listens(self.socket):  # httpx2 leaves an open descriptor behind for each connection that is refused
            return False
        try:
            return self._http.get("/health", timeout=5.0).status_code == httpx2.codes.OK
        except httpx2.TransportError:
            return False

    def chat(self, messages: Sequence[Message], sampling: Sampling | None = None) -> Answer:
        """The whole answer to a conversation."""
        with self.stream(messages, sampling) as pieces:
            for _ in pieces:
                pass
        assert pieces.answer is not None  # iterating to the end sets it or raises
        return pieces.answer

    @contextmanager
    def stream(self, messages: Sequence[Message], sampling: Sampling | None = None) -> Iterator[AnswerStream]:
        """The answer in pieces; leaving the block before the end makes the server stop writing it."""
        import httpx2

        chosen = msgspec.to_builtins(sampling or Sampling())
        if chosen["seed"] is None:
            del chosen["seed"]
        # The server has defaults of its own for these two; off means that only what ``Sampling`` names takes part.
        body = {**chosen, "top_k": 0, "min_p": 0.0, "messages": _told(messages), "stream": True, "stream_options": {"include_usage": True}}
        asked = time.monotonic()
        with self._named_errors(), self._http.stream("POST", "/v1/chat/completions", json=body) as response:
            if response.status_code != httpx2.codes.OK:
                response.read()
                raise _refused(response)
            yield AnswerStream(iter(httpx2.EventSource(response)), asked)

    def tokenize(self, text: str, *, with_special: bool = False, parse_special: bool = False) -> list[int]:
        """Token ids of ``text`` exactly as it is given.

        ``with_special`` adds what the vocabulary puts around a text (a begin token, where it has one); ``parse_special`` takes markers
        such as ``<|im_end|>`` for control tokens, as in a rendered prompt.
        """
        body = {"content": text, "add_special": with_special, "parse_special": parse_special}
        tokens: list[int] = self._post("/tokenize", body)["tokens"]
        return tokens

    def apply_template(self, messages: Sequence[Message]) -> str:
        """The prompt that the model's own chat template makes of a conversation, ready for the assistant's turn."""
        prompt: str = self._post("/apply-template", {"messages": _told(messages)})["prompt"]
        return prompt

    def prompt_ids(self, messages: Sequence[Message]) -> list[int]:
        """The very token ids that ``chat`` makes the model read."""
        return self.tokenize(self.apply_template(messages), with_special=True, parse_special=True)

    def properties(self) -> dict[str, Any]:
        """What the server says of itself: ``chat_template``, ``total_slots``, ``default_generation_settings``, ``build_info`` …"""
        with self._named_errors():
            response = self._http.get("/props")
        if response.is_error:
            raise _refused(response)
        told: dict[str, Any] = response.json()
        return told

    def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        with self._named_errors():
            response = self._http.post(path, json=body)
        if response.is_error:
            raise _refused(response)
        told: dict[str, Any] = response.json()
        return told

    @contextmanager
    def _named_errors(self) -> Iterator[None]:
        import httpx2

        try:
            yield
        except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
            raise ApplianceError("server_unreachable", ExitCode.RUN_FAILED, socket=str(self.socket)) from error
        except httpx2.ReadTimeout as error:
            raise ApplianceError("server_silent", ExitCode.RUN_FAILED, seconds=_FIRST_TOKEN_WITHIN) from error
        except httpx2.TransportError as error:
            raise ApplianceError("answer_broken_off", ExitCode.RUN_FAILED) from error


def _told(messages: Sequence[Message]) -> list[dict[str, str]]:
    return [{"role": message.role, "content": plain_text(message.content)} for message in messages]


def _refused(response: httpx2.Response) -> ApplianceError:
    """The error of an answer that is none: llama-server's JSON, or whatever else came."""
    try:
        return _refusal(msgspec.json.decode(response.content, type=_RefusalBody).error)
    except ValueError:
        return _refusal(_Refusal(message=response.text, code=response.status_code))


def _refusal(told: _Refusal) -> ApplianceError:
    if told.type == "exceed_context_size_error":
        return ApplianceError("prompt_too_long", tokens=told.n_prompt_tokens, limit=told.n_ctx)
    return ApplianceError("server_refused", ExitCode.RUN_FAILED, status=told.code, reason=told.message[:200])
