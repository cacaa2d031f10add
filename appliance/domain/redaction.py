"""The redaction of a dataset: its report, what a person has to look at, and what was decided.

A report holds counts and masked examples, never what was found.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

REPORT_FILE = "redaction.json"
"""The report inside a redacted dataset's folder."""
REVIEW_FILE = "review.jsonl"
"""Uncertain finds, one ``Uncertain`` per line, in the same folder."""
FINDS_SCORE = "redaction_finds"
"""Name of the score that a check gives a dataset: how much personal data it has found; 0 is a pass."""

RULES_VERSION = 1
"""Grows when rules find or replace differently, so that a record tells which rules made it."""

Choice = Literal["replace", "keep"]


class Decision(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a person decided about an uncertain find, for this place and everywhere else the same stands."""

    place: str
    """``line:part:start`` in the dataset that was redacted, see ``Uncertain``."""
    choice: Choice


class Uncertain(msgspec.Struct, frozen=True):
    """A find that may be something else; equal ones are listed once."""

    place: str
    """``line:part:start`` of the first one: line from 1, message from 0 (a rejected answer comes last), character from 0."""
    kind: str
    length: int
    """Characters."""
    count: int
    masked: str


class KindReport(msgspec.Struct):
    """What was found of one kind."""

    found: int = 0
    uncertain: int = 0
    """Of those found, how many were not sure."""
    kept: int = 0
    """Of those found, how many a person has decided to keep."""
    open: int = 0
    """Of those found, how many stay as they are until a person decides."""
    left: int = 0
    """How many were there again after replacing: there should be none."""
    examples: list[str] = []
    """Masked, a few."""

    def add(self, other: KindReport, most: int) -> None:
        """Count another part of the same dataset."""
        for name in ("found", "uncertain", "kept", "open", "left"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        new = [example for example in other.examples if example not in self.examples]
        self.examples = (self.examples + new)[:most]


class RedactionReport(msgspec.Struct, kw_only=True):
    """The report of a dataset that was redacted or checked."""

    passed: bool
    """Whether nothing is left in it that a rule finds, but for what a person has decided to keep."""
    checked_only: bool = False
    """Whether the data was looked at and not changed."""
    rows: int
    changed: int = 0
    """Rows in which something was replaced."""
    kinds: dict[str, KindReport]
    """Only those of which there was one."""
    left_out: tuple[str, ...] = ()
    """Kinds that the recipe does not look for."""
    uncertain_distinct: int = 0
    """Lines of the review list."""
    decisions: int = 0
    """How many decisions of a person were applied."""
    unmatched: int = 0
    """How many decisions fitted no find."""
    decided_by: str = ""
    key_id: str = ""
    """Tells keys apart; empty for a check."""
    key_kept: bool = False
    rules: int = RULES_VERSION

    @property
    def finds(self) -> int:
        """What stands in the data after the work, and is not meant to."""
        return sum(kind.open + kind.left for kind in self.kinds.values())

    def facts(self) -> dict[str, Any]:
        """For the record of the dataset."""
        return msgspec.to_builtins(self)  # type: ignore[no-any-return]  # a Struct becomes a dict of its fields


PassedBy = Literal["redacted", "checked", "inherited"]
NotPassedBy = Literal["never", "finds", "open", "changed"]


class RedactionState(msgspec.Struct, frozen=True):
    """Whether models may learn from a dataset, and why."""

    passed: bool
    reason: PassedBy | NotPassedBy
    """``redacted`` or ``checked`` without anything left; ``inherited`` from parents that all passed. ``never`` looked at; a check had
    ``finds``; finds are ``open`` until somebody decides; or cleaning ``changed`` rows so that something can be read in them now."""


INHERITING_STAGES = frozenset({"split", "clean", "mix"})
"""Stages whose results hold nothing but rows of their parents. Cleaning changes them: it looks again at those it has changed."""

RECHECK_FACT = "redaction_recheck"
"""In the facts of a cleaned dataset: ``{"rows": looked at again, "finds": found in them}``."""
