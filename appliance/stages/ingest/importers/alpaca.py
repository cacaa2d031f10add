"""Alpaca rows: ``{"instruction", "input", "output"}`` with an optional ``system`` and ``history``; other names by column mapping.

Format: github.com/tatsu-lab/stanford_alpaca, and LLaMA-Factory's data README for ``system`` and ``history``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import msgspec

from appliance.domain.conversation import Message
from appliance.stages.ingest import columns, records, turns
from appliance.stages.ingest.importers.importer import Importer, Reading
from appliance.stages.ingest.refusal import Refused
from appliance.stages.ingest.source import Source


class AlpacaRow(msgspec.Struct, gc=False):
    """The parts of a row that are read; all others are ignored."""

    instruction: str | None = None
    input: str | None = None
    output: str | None = None
    system: str | None = None
    history: list[tuple[str, str]] | None = None


def recognise(source: Source, asked: Mapping[str, str]) -> int:
    """Rows whose question and answer are found by the names of their keys."""
    return sum(columns.fit(list(record), asked) for record in records.sample_of(source))


def read(source: Source, asked: Mapping[str, str]) -> Reading:
    """Rows of JSON lines or of a JSON list."""
    existing = dict.fromkeys(key for record in records.sample_of(source) for key in record)
    mapping = columns.mapped(list(existing) or list(AlpacaRow.__struct_fields__), asked)
    parts = [(part.name, part.type, None) for part in msgspec.structs.fields(AlpacaRow)]
    row_type = cast("type[AlpacaRow]", msgspec.defstruct("MappedAlpacaRow", parts, rename=mapping, gc=False))
    return Reading(records.converted(source, row_type, messages_of), mapping)


def messages_of(row: AlpacaRow) -> tuple[Message, ...]:
    """Instruction and input become one question, with a blank line between them."""
    question, given, answer = row.instruction or "", row.input, row.output
    if given and not given.isspace():
        question = given if turns.is_blank(question) else f"{question}\n\n{given}"
    elif turns.is_blank(question):
        raise Refused("row_without_question")
    if not answer or answer.isspace():
        raise Refused("row_without_answer")
    asked_and_answered = (Message("user", question), Message("assistant", answer))
    if not row.system and not row.history:
        return asked_and_answered
    before = [Message("system", row.system)] if row.system else []
    for earlier_question, earlier_answer in row.history or ():
        before += [Message("user", earlier_question), Message("assistant", earlier_answer)]
    return turns.in_order((*before, *asked_and_answered))


IMPORTER = Importer("alpaca", recognise, read)
