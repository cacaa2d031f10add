"""What a cleaning rule is: a maker that reads what is asked for and gives the function that judges rows, or None when switched off.

Rules differ in what they have to see. All must depend on nothing but the rows, so that the same input gives the same bytes.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from appliance.domain.conversation import Conversation, Message
from appliance.domain.document import Document
from appliance.domain.event import Emit
from appliance.domain.recipe import CleaningRecipe
from appliance.domain.row import Row
from appliance.domain.spec import CleanSpec


class Dropped(msgspec.Struct, frozen=True):
    """The verdict that a row is left out."""

    reason: str
    """A key of the texts' ``problems``."""
    parameters: dict[str, Any] = {}


Apply = Callable[[Row], Row | Dropped]
"""A rule about one row: gives the very same object when nothing is to be done, a new row when something was changed, or the verdict.

It remembers nothing of other rows: rows are judged by several processes."""

Make = Callable[[CleanSpec], Apply | None]

Meet = Callable[[bytes, int], Dropped | None]
"""A rule about a row and those before it: takes a row's content hash and its line in the parent's file, in the order of lines."""

MakeMeeting = Callable[[CleaningRecipe], Meet | None]


@dataclass(frozen=True)
class Passed:
    """The rows that have passed all rules about one row, as rules about all rows together see them."""

    rows: Path
    """A ``rows.jsonl``."""
    lines: array[int] = field(default_factory=lambda: array("q"))
    """Of each row, its line in the parent's file."""
    questions: array[int] = field(default_factory=lambda: array("Q"))
    """Of each row the hash of its question, for ``contradictions``; 0 for a row without."""


@dataclass(frozen=True)
class Verdicts:
    """What a rule about all rows together has found; rows are counted from 0."""

    dropped: dict[int, Dropped] = field(default_factory=dict)
    listed: list[list[int]] = field(default_factory=list)
    """The first groups that were found, for examples."""
    facts: dict[str, int] = field(default_factory=dict)


Judge = Callable[[Passed, Set[int], Emit], Verdicts]
"""A rule about all rows together: takes them, and which of them are dropped already."""

MakeJudge = Callable[[CleaningRecipe], Judge | None]


def with_texts(row: Row, change: Callable[[str], str], emptied: str) -> Row | Dropped:
    """The row with every text changed, or the very same; ``emptied`` is the reason to drop a row of which a turn became empty.

    An emptied system turn is left out instead.
    """
    if isinstance(row, Document):
        text = _changed(row.text, change)
        if text == row.text:
            return row
        return Document(**{**msgspec.structs.asdict(row), "text": text}) if text else Dropped(emptied, {"role": "document"})
    if not row.rejected and all(change(message.content) is message.content for message in row.messages):
        return row
    contents = [_changed(message.content, change) for message in row.messages]
    rejected = _changed(row.rejected, change) if row.rejected else ""
    if row.rejected and not rejected:
        return Dropped(emptied, {"role": "rejected"})
    if rejected == row.rejected and all(content == message.content for content, message in zip(contents, row.messages, strict=True)):
        return row
    messages = []
    for content, message in zip(contents, row.messages, strict=True):
        if content:
            messages.append(Message(message.role, content))
        elif message.role != "system":
            return Dropped(emptied, {"role": message.role})
    return Conversation(**{**msgspec.structs.asdict(row), "messages": tuple(messages), "rejected": rejected})


def _changed(text: str, change: Callable[[str], str]) -> str:
    """The changed text, empty when the change left nothing but white space."""
    after = change(text)
    return after if after is text or not after.isspace() else ""
