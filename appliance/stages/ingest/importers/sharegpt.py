"""ShareGPT rows: ``{"conversations": [{"from", "value"}, …]}`` with an optional ``system``."""

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

ROLES: dict[str, Role] = {
    "human": "user",
    "user": "user",
    "gpt": "assistant",
    "assistant": "assistant",
    "chatgpt": "assistant",
    "bing": "assistant",
    "bard": "assistant",
    "model": "assistant",
    "system": "system",
}
"""Names found in published ShareGPT collections → ours. Calls of functions and their results are no turns that we can train."""


class ShareGptTurn(msgspec.Struct, gc=False, rename={"role": "from"}):
    """One turn."""

    role: str
    value: str | None


class ShareGptRow(msgspec.Struct, gc=False):
    """The parts of a row that are read."""

    conversations: list[ShareGptTurn]
    system: str | None = None


def recognise(source: Source, _asked: Mapping[str, str]) -> int:
    """Rows with a list of turns that say whom they are from."""
    return sum(_has_turns(record.get("conversations")) for record in records.sample_of(source))


def read(source: Source, _asked: Mapping[str, str]) -> Reading:
    """Rows of JSON lines or of a JSON list."""
    return Reading(records.converted(source, ShareGptRow, messages_of))


def messages_of(row: ShareGptRow) -> tuple[Message, ...]:
    """The turns with our role names, the row's ``system`` before them."""
    messages = [Message("system", row.system)] if row.system else []
    for turn in row.conversations:
        role = ROLES.get(turn.role.lower())
        if role is None:
            raise Refused("row_role_unknown", role=printable(turn.role, 40))
        messages.append(Message(role, turn.value or ""))
    return turns.in_order(messages)


def _has_turns(found: Any) -> bool:
    return isinstance(found, list) and all(isinstance(turn, dict) and "from" in turn for turn in found)


IMPORTER = Importer("sharegpt", recognise, read)
