"""What a rule did: counts, reasons and a few examples, gathered by several processes and joined in the order of rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from appliance.domain.dataset import printable
from appliance.domain.errors import ApplianceError
from appliance.domain.row import Row, texts_of
from appliance.stages.clean.rules.rule import Dropped

EXAMPLES = 5
"""How many examples a rule's report keeps of what it changed, and as many of what it dropped."""
SHOWN_CHARS = 80
"""Length of each side of an example."""


@dataclass
class Report:
    """Of one rule."""

    changed: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    first: dict[str, Dropped] = field(default_factory=dict)
    """The first verdict of each reason."""
    changed_examples: list[dict[str, Any]] = field(default_factory=list)
    dropped_examples: list[dict[str, Any]] = field(default_factory=list)
    found: dict[str, Any] = field(default_factory=dict)
    """What else a rule about all rows has to say."""

    def note_change(self, line: int, before: Row, after: Row) -> None:
        """Count a changed row; the first few are kept as examples."""
        self.changed += 1
        if len(self.changed_examples) < EXAMPLES:
            shown = _first_difference(before, after)
            self.changed_examples.append({"line": line, "source": before.source, "before": shown[0], "after": shown[1]})

    def note_drop(self, line: int, row: Row, dropped: Dropped) -> None:
        """Count a dropped row; the first few are kept as examples."""
        self.reasons[dropped.reason] += 1
        self.first.setdefault(dropped.reason, dropped)
        if len(self.dropped_examples) < EXAMPLES:
            excerpt = printable("".join(texts_of(row)[-1:]), SHOWN_CHARS)
            self.dropped_examples.append({"line": line, "source": row.source, "reason": dropped.reason, "excerpt": excerpt})

    def add(self, later: Report) -> None:
        """Join what was gathered of later rows."""
        self.changed += later.changed
        self.reasons += later.reasons
        self.first = later.first | self.first
        self.changed_examples = (self.changed_examples + later.changed_examples)[:EXAMPLES]
        self.dropped_examples = (self.dropped_examples + later.dropped_examples)[:EXAMPLES]

    def facts(self) -> dict[str, Any]:
        """For the record of the dataset."""
        examples = self.changed_examples + self.dropped_examples
        return {"changed": self.changed, "dropped": self.reasons.total(), "examples": examples, **self.found}


def all_reasons(reports: Iterable[Report]) -> Counter[str]:
    """Why rows were dropped, over all rules."""
    return sum((report.reasons for report in reports), Counter())


def nothing_left(reports: Mapping[str, Report]) -> ApplianceError:
    """The refusal of a cleaning that left no row, with the commonest reason."""
    reasons = all_reasons(reports.values())
    if not reasons:
        return ApplianceError("rows_empty")
    reason, count = reasons.most_common(1)[0]
    example = next(report.first[reason] for report in reports.values() if reason in report.first)
    told = {"code": reason, **example.parameters}
    return ApplianceError("nothing_left", dropped=reasons.total(), count=count, problems=[told])


def _first_difference(before: Row, after: Row) -> tuple[str, str]:
    """Both texts from a little before the place where they begin to differ."""
    texts = ["\n".join(texts_of(row)) for row in (before, after)]
    same = next((place for place, (left, right) in enumerate(zip(*texts, strict=False)) if left != right), min(map(len, texts)))
    begin = max(0, same - SHOWN_CHARS // 4)
    return printable(texts[0][begin:], SHOWN_CHARS), printable(texts[1][begin:], SHOWN_CHARS)
