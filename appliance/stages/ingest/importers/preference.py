"""Preference rows: a question with a better and a worse answer, for DPO.

Three published forms are read: ``{"prompt", "chosen", "rejected"}`` with texts (TRL's standard form); the same with lists of messages,
where the prompt may be missing and stand at the beginning of both lists (its conversational and implicit forms); and ``{"messages",
"chosen", "rejected"}``. An optional ``system`` comes first. Formats: huggingface.co/docs/trl/dataset_formats, LLaMA-Factory's data README.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from appliance.domain.conversation import Message
from appliance.stages.ingest import records
from appliance.stages.ingest.importers import messages
from appliance.stages.ingest.importers.importer import Importer, Reading
from appliance.stages.ingest.importers.messages import ChatRow, ChatTurn
from appliance.stages.ingest.refusal import Refused
from appliance.stages.ingest.source import Source

Answer = str | ChatTurn | list[ChatTurn]


class PreferenceRow(msgspec.Struct, gc=False):
    """The parts of a row that are read."""

    chosen: Answer
    rejected: Answer
    prompt: str | list[ChatTurn] | None = None
    messages: list[ChatTurn] | None = None
    system: str | None = None


def recognise(source: Source, _asked: Mapping[str, str]) -> int:
    """Rows with both a chosen and a rejected answer."""
    return sum("chosen" in record and "rejected" in record for record in records.sample_of(source))


def read(source: Source, _asked: Mapping[str, str]) -> Reading:
    """Rows of JSON lines or of a JSON list."""
    return Reading(records.converted(source, PreferenceRow, messages_of, rejected_of))


def messages_of(row: PreferenceRow) -> tuple[Message, ...]:
    """The conversation that ends with the better answer."""
    return _conversation(row, row.chosen)


def rejected_of(row: PreferenceRow) -> str:
    """The worse answer to the same question; raises Refused when it answers another one, or says the same."""
    better, worse = _conversation(row, row.chosen), _conversation(row, row.rejected)
    if better[:-1] != worse[:-1]:
        raise Refused("row_preference_of_two_questions")
    if better[-1].content.strip() == worse[-1].content.strip():
        raise Refused("row_preference_without_difference")
    return worse[-1].content


def _conversation(row: PreferenceRow, answer: Answer) -> tuple[Message, ...]:
    said = [ChatTurn("assistant", answer)] if isinstance(answer, str) else [answer] if isinstance(answer, ChatTurn) else answer
    asked = row.messages or ([ChatTurn("user", row.prompt)] if isinstance(row.prompt, str) else row.prompt or [])
    if len(said) > 1:
        asked = []  # both answers come with their question
    before = [ChatTurn("system", row.system)] if row.system else []
    return messages.messages_of(ChatRow([*before, *asked, *said]))


IMPORTER = Importer("preference", recognise, read)
