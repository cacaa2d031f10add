"""Chat rows: ``{"messages": [{"role", "content"}, …]}``, as OpenAI's fine-tuning files have them.

Format: platform.openai.com/docs/guides/supervised-fine-tuning. Tool calls and pictures are refused; so are answers with ``weight`` 0,
because every answer of a conversation is trained here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from appliance.domain.conversation import Message, Role
from appliance.domain.dataset import printable
from appliance.stages.ingest import records, turns
from appliance.stages.ingest.importers.importer import Importer, Reading
from appliance.stages.ingest.refusal import Refused
from appliance.stages.ingest.source import Source

ROLES: dict[str, Role] = {"user": "user", "assistant": "assistant", "system": "system", "developer": "system"}


class ContentPart(msgspec.Struct, gc=False):
    """A piece of a content that is given as a list."""

    type: str
    text: str | None = None


class ChatTurn(msgspec.Struct, gc=False):
    """One turn."""

    role: str
    content: str | list[ContentPart] | None = None
    weight: float = 1


class ChatRow(msgspec.Struct, gc=False):
    """The parts of a row that are read."""

    messages: list[ChatTurn]


def recognise(source: Source, _asked: Mapping[str, str]) -> int:
    """Rows with a list of turns that have a role."""
    return sum(_has_turns(record.get("messages")) for record in records.sample_of(source))


def read(source: Source, _asked: Mapping[str, str]) -> Reading:
    """Rows of JSON lines or of a JSON list."""
    return Reading(records.converted(source, ChatRow, messages_of))


def messages_of(row: ChatRow) -> tuple[Message, ...]:
    """The turns as messages; a content in parts is joined when all parts are text."""
    messages = []
    for turn in row.messages:
        role = ROLES.get(turn.role)
        if role is None:
            raise Refused("row_role_unknown", role=printable(turn.role, 40))
        if turn.weight == 0:
            raise Refused("row_answer_without_weight")
        messages.append(Message(role, turn.content if isinstance(turn.content, str) else _joined(turn.content or [])))
    return turns.in_order(messages)


def _joined(parts: list[ContentPart]) -> str:
    for part in parts:
        if part.type != "text":
            raise Refused("row_not_text", kind=printable(part.type, 40))
    return "\n".join(part.text or "" for part in parts)


def _has_turns(found: Any) -> bool:
    return isinstance(found, list) and all(isinstance(turn, dict) and "role" in turn for turn in found)


IMPORTER = Importer("messages", recognise, read)
