"""A chat: questions with the answers of one model, or of two side by side."""

from __future__ import annotations

from typing import Any

import msgspec

from appliance.domain.conversation import Message


class ChatAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What one model said."""

    model: str
    """Name of the model."""
    text: str
    facts: dict[str, Any] = {}
    """``seconds_to_first_token``, ``tokens_per_second``, ``completion_tokens``, ``finish_reason``; ``stopped`` if a person stopped it."""


class ChatTurn(msgspec.Struct, frozen=True, kw_only=True):
    """A question and what was answered."""

    question: str
    answers: tuple[ChatAnswer, ...] = ()


class Chat(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the registry."""

    id: str
    title: str
    """The beginning of the first question."""
    system: str = ""
    sampling: dict[str, Any] = {}
    created: float
    changed: float


def messages_for(model: str, system: str, turns: tuple[ChatTurn, ...], question: str) -> list[Message]:
    """The conversation as one model is told it: its own answers where it gave one, else another's."""
    messages = [Message("system", system)] if system else []
    for turn in turns:
        answer = next((one for one in turn.answers if one.model == model), next(iter(turn.answers), None))
        if answer is not None and answer.text:
            messages += [Message("user", turn.question), Message("assistant", answer.text)]
    return [*messages, Message("user", question)]
