"""What the rules find of a half's labels, and what else they find."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from appliance.domain.document import Document
from appliance.domain.recipe import RedactionRecipe
from appliance.stages.redact.redactor import Redactor
from scripts.redaction.examples import Example, Label, examples

CHECK_DIGIT_KINDS = ("id_number", "bank_card", "vin")
SLACK = 4
"""Characters that a find may reach beyond its label."""


@dataclass
class Tally:
    """Of one kind."""

    labels: int = 0
    covered: int = 0
    finds: int = 0
    right: int = 0
    missed: list[tuple[str, str, str]] = field(default_factory=list)
    """(spelling, what was not covered, sentence)."""
    wrong: list[tuple[str, str]] = field(default_factory=list)
    """(what was found, sentence)."""

    @property
    def recall(self) -> float:
        """Share of labels of which every letter and digit was found."""
        return self.covered / self.labels if self.labels else 1.0

    @property
    def precision(self) -> float:
        """Share of finds that lie on a label."""
        return self.right / self.finds if self.finds else 1.0


def measure(half: str, count: int, sure_only: bool = False) -> dict[str, Tally]:
    """Tallies by kind, and ``all``."""
    redactor = Redactor(RedactionRecipe(), b"measuring only", {})
    tallies: dict[str, Tally] = defaultdict(Tally)
    for example in examples(half, count):
        found = [find for _, find in redactor.finds(Document(example.text)) if find.sure or not sure_only]
        spans = [(find.start, find.end) for find in found]
        for label in example.labels:
            _tally_label(tallies, example, label, spans)
        for find in found:
            right = any(_lies_on(find.start, find.end, label) for label in example.labels)
            for name in (find.kind, "all"):
                tallies[name].finds += 1
                tallies[name].right += right
            if not right:
                tallies[find.kind].wrong.append((example.text[find.start : find.end], example.text))
    return dict(tallies)


def _tally_label(tallies: dict[str, Tally], example: Example, label: Label, spans: list[tuple[int, int]]) -> None:
    places = [place for place in range(label.start, label.end) if example.text[place].isalnum()]
    covered = all(any(start <= place < end for start, end in spans) for place in places)
    for name in (label.kind, "all"):
        tallies[name].labels += 1
        tallies[name].covered += covered
    if not covered:
        tallies[label.kind].missed.append((label.spelling, example.text[label.start : label.end], example.text))


def _lies_on(start: int, end: int, label: Label) -> bool:
    return start < label.end and label.start < end and start >= label.start - SLACK and end <= label.end + SLACK
