"""Models that are held ready while somebody talks to them, and their answers as messages."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from textual.message import Message as Notice

from appliance.domain.chat import ChatAnswer
from appliance.domain.conversation import Message

if TYPE_CHECKING:
    from appliance.services.chat import Client, HeldModel, Sampling
    from appliance.services.workbench import Workbench

POST_EVERY = 0.05
"""Seconds between two pieces that are posted: a terminal shows no more."""


class Piece(Notice):
    """More of an answer."""

    def __init__(self, side: int, text: str) -> None:
        super().__init__()
        self.side = side
        self.text = text


class Answered(Notice):
    """An answer that is over."""

    def __init__(self, side: int, answer: ChatAnswer) -> None:
        super().__init__()
        self.side = side
        self.answer = answer


class Talkers:
    """At most one model per side, started when first asked and kept for the next question."""

    def __init__(self) -> None:
        self._held: dict[int, tuple[str, HeldModel]] = {}
        self._lock = threading.Lock()
        self._closed = False

    def hold(self, side: int, model: str, workbench: Workbench) -> HeldModel:
        """The model, ready; one that was held on this side before is let go. Raises what starting a server raises."""
        from appliance.services.chat import HeldModel

        with self._lock:
            there = self._held.get(side)
        if there is not None and there[0] == model and there[1].client.is_ready():
            return there[1]
        self.drop(side)
        held = HeldModel(workbench, model)
        with self._lock:
            if not self._closed:
                self._held[side] = (model, held)
                return held
        held.close()
        return held

    def drop(self, side: int) -> None:
        """Let a side's model go."""
        with self._lock:
            there = self._held.pop(side, None)
        if there is not None:
            there[1].close()

    def close(self) -> None:
        """Let all go, for good."""
        self._closed = True
        for side in list(self._held):
            self.drop(side)


def answer_aloud(
    client: Client,
    side: int,
    model: str,
    messages: Sequence[Message],
    sampling: Sampling,
    post: Callable[[Notice], object],
    is_over: Callable[[], bool],
) -> None:
    """Post an answer's pieces as they come and its end; stopping early keeps what was said."""
    said: list[str] = []
    waiting, posted = "", time.monotonic()
    with client.stream(messages, sampling) as pieces:
        for piece in pieces:
            said.append(piece)
            waiting += piece
            if time.monotonic() - posted >= POST_EVERY:
                post(Piece(side, waiting))
                waiting, posted = "", time.monotonic()
            if is_over():
                break
    if waiting:
        post(Piece(side, waiting))
    answer = pieces.answer
    facts: dict[str, object] = {"stopped": True}
    if answer is not None:
        names = ("seconds_to_first_token", "tokens_per_second", "completion_tokens", "finish_reason")
        facts = {name: getattr(answer, name) for name in names}
    post(Answered(side, ChatAnswer(model=model, text="".join(said), facts=facts)))


def servable(workbench: Workbench) -> tuple[list[str], str]:
    """Names of the models that can be asked, the newest first, and of the newest tuned one."""
    names = [model.name for model in workbench.models.all() if model.kind == "gguf"]
    preferred, _ = workbench.chats.pair()
    return names[::-1], preferred.name if preferred else ""
