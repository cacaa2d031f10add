"""Rows in the forms that other programs read; the importers read every one of them back.

Alpaca carries earlier turns as ``history`` and the system turn as ``system`` (LLaMA-Factory's data README), ShareGPT the system turn as
``system``. A row that a form cannot carry whole is refused with the reason, never cut to fit.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from appliance.domain.conversation import Conversation
from appliance.domain.document import Document
from appliance.domain.row import Row
from appliance.domain.spreadsheet import guarded

CSV_COLUMNS = ("instruction", "output", "system")
_SHAREGPT_ROLES = {"user": "human", "assistant": "gpt"}


class NotCarried(Exception):
    """The form has no place for something in the row; ``reason`` is a key of the texts' ``problems``."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def as_chat(row: Row) -> dict[str, Any]:
    """``messages`` with roles; of a preference the messages before its two answers ``chosen`` and ``rejected``."""
    if isinstance(row, Document):
        return {"text": row.text}
    told = [{"role": message.role, "content": message.content} for message in row.messages]
    if row.rejected:
        return {"messages": told[:-1], "chosen": row.messages[-1].content, "rejected": row.rejected}
    return {"messages": told, **_labels(row)}


def as_sharegpt(row: Row) -> dict[str, Any]:
    """``conversations`` of ``from`` and ``value``."""
    conversation = _without_preference(row)
    system, turns = _divided(conversation)
    told = [{"from": _SHAREGPT_ROLES[role], "value": content} for role, content in turns]
    return {"conversations": told, **({"system": system} if system else {}), **_labels(conversation)}


def as_alpaca(row: Row) -> dict[str, Any]:
    """``instruction``, an empty ``input`` and ``output``; earlier turns as ``history``."""
    conversation = _without_preference(row)
    system, turns = _divided(conversation)
    told: dict[str, Any] = {"instruction": turns[-2][1], "input": "", "output": turns[-1][1]}
    if system:
        told["system"] = system
    if len(turns) > 2:
        contents = [content for _, content in turns[:-2]]
        told["history"] = list(zip(contents[::2], contents[1::2], strict=True))
    return {**told, **_labels(conversation)}


def as_cells(row: Row) -> dict[str, str]:
    """Question, answer and system turn as cells that no spreadsheet takes for a formula."""
    conversation = _without_preference(row)
    system, turns = _divided(conversation)
    if len(turns) > 2:
        raise NotCarried("form_without_turns")
    cells = {"instruction": turns[0][1], "output": turns[1][1], "system": system}
    if any("\0" in cell for cell in cells.values()):
        raise NotCarried("form_without_control_bytes")
    return {name: guarded(cell) for name, cell in cells.items()}


FORMS: dict[str, Callable[[Row], dict[str, Any]]] = {"chat": as_chat, "alpaca": as_alpaca, "sharegpt": as_sharegpt, "csv": as_cells}


def _without_preference(row: Row) -> Conversation:
    if isinstance(row, Document):
        raise NotCarried("form_without_documents")
    if row.rejected:
        raise NotCarried("form_without_preferences")
    return row


def _divided(row: Conversation) -> tuple[str, list[tuple[str, str]]]:
    """The system turn and the others as (role, content)."""
    turns: list[tuple[str, str]] = [(message.role, message.content) for message in row.messages]
    return (turns[0][1], turns[1:]) if turns[0][0] == "system" else ("", turns)


def _labels(row: Conversation) -> dict[str, Any]:
    return {"labels": row.labels} if row.labels else {}
