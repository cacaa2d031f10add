"""Clean: rows become a smaller and tidier dataset; every row that is left out is listed with its reason.

The rules are a registry (``rules/``); this module knows none of them, only the order, the counting and the record.
"""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec

from appliance.domain.conversation import Conversation, from_json, to_json
from appliance.domain.dataset import REJECTED_FILE, ROWS_FILE, Rejected, printable
from appliance.domain.errors import ApplianceError
from appliance.domain.event import Artifact, Emit, Notice, Produced, Progress, Started
from appliance.domain.redaction import RECHECK_FACT
from appliance.domain.spec import CleanSpec
from appliance.files.lines import BLOCK, LineWriter, read_lines
from appliance.files.publish import published_folder
from appliance.files.space import disk_full_named
from appliance.stages.clean.rules import RULES
from appliance.stages.clean.rules.rule import Apply, Dropped
from appliance.stages.redact.recheck import Recheck

EXAMPLES = 5
"""How many examples a rule's report keeps of what it changed, and as many of what it dropped."""
SHOWN_CHARS = 80
"""Length of each side of an example."""


def run(spec: CleanSpec, emit: Emit) -> None:
    """Pass every row through the rules, publish what is left with the record of what is not."""
    began = time.monotonic()
    rows, place = Path(spec.rows), Path(spec.output)
    if not rows.is_file():
        raise ApplianceError("rows_missing", path=str(rows))
    reports = [_Report(name, apply) for name, make in RULES if (apply := make(spec.recipe)) is not None]
    emit(Started(total=rows.stat().st_size, unit="bytes", what="clean"))
    with disk_full_named(place), published_folder(place) as folder:
        recheck = Recheck() if spec.recheck_redaction else None
        kept, counts = _write(rows, folder, reports, recheck, emit)
        if not kept.count:
            raise _nothing_left(reports)
    if counts["dropped"]:
        emit(Notice("info", "rows_dropped", counts))
    facts = {
        "counts": counts,
        "rules": {report.name: report.facts() for report in reports},
        "reasons": dict(_reasons(reports).most_common()),
        "recipe": msgspec.to_builtins(spec.recipe),
        "seconds": round(time.monotonic() - began, 3),
        **({RECHECK_FACT: recheck.facts()} if recheck else {}),
    }
    emit(Produced(Artifact(role="dataset", path=str(place), sha256=kept.sha256, size=kept.size, facts=facts)))


class _Report:
    """One rule at work, and what it did."""

    def __init__(self, name: str, apply: Apply) -> None:
        self.name = name
        self.apply = apply
        self.changed = 0
        self.reasons: Counter[str] = Counter()
        self.first: dict[str, Dropped] = {}
        """The first verdict of each reason."""
        self.changed_examples: list[dict[str, Any]] = []
        self.dropped_examples: list[dict[str, Any]] = []

    def note_change(self, line: int, before: Conversation, after: Conversation) -> None:
        """Count a changed row; the first few are kept as examples."""
        self.changed += 1
        if len(self.changed_examples) < EXAMPLES:
            shown = _first_difference(before, after)
            self.changed_examples.append({"line": line, "source": before.source, "before": shown[0], "after": shown[1]})

    def note_drop(self, line: int, row: Conversation, dropped: Dropped) -> None:
        """Count a dropped row; the first few are kept as examples."""
        self.reasons[dropped.reason] += 1
        self.first.setdefault(dropped.reason, dropped)
        if len(self.dropped_examples) < EXAMPLES:
            excerpt = printable(row.messages[-1].content, SHOWN_CHARS)
            self.dropped_examples.append({"line": line, "source": row.source, "reason": dropped.reason, "excerpt": excerpt})

    def facts(self) -> dict[str, Any]:
        """For the record of the dataset."""
        examples = self.changed_examples + self.dropped_examples
        return {"changed": self.changed, "dropped": self.reasons.total(), "examples": examples}


def _write(rows: Path, folder: Path, reports: list[_Report], recheck: Recheck | None, emit: Emit) -> tuple[LineWriter, dict[str, int]]:
    encode = msgspec.json.Encoder().encode
    line, changed, told = 0, 0, 0
    with LineWriter(folder / ROWS_FILE) as kept, LineWriter(folder / REJECTED_FILE) as left_out:
        for line, position, data in read_lines(rows):
            try:
                row = from_json(data)
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                raise ApplianceError("rows_damaged", path=str(rows), line=line) from error
            outcome = _through(row, line, reports)
            if isinstance(outcome, Conversation):
                changed += outcome is not row
                if recheck and outcome is not row:
                    recheck.look(outcome)
                kept.write(to_json(outcome))
            else:
                excerpt = printable("\n".join(message.content for message in row.messages))
                left_out.write(encode(Rejected(line, outcome.reason, outcome.parameters, excerpt, source=row.source)))
            if position - told >= BLOCK:
                emit(Progress(position))
                told = position
    return kept, {"read": line, "rows": kept.count, "dropped": left_out.count, "changed": changed}


def _through(row: Conversation, line: int, reports: list[_Report]) -> Conversation | Dropped:
    """The row after all rules, or the verdict of the first one that drops it."""
    for report in reports:
        outcome = report.apply(row, line)
        if isinstance(outcome, Dropped):
            report.note_drop(line, row, outcome)
            return outcome
        if outcome is not row:
            report.note_change(line, row, outcome)
            row = outcome
    return row


def _first_difference(before: Conversation, after: Conversation) -> tuple[str, str]:
    """Both texts from a little before the place where they begin to differ."""
    texts = ["\n".join(message.content for message in row.messages) for row in (before, after)]
    same = next((place for place, (left, right) in enumerate(zip(*texts, strict=False)) if left != right), min(map(len, texts)))
    begin = max(0, same - SHOWN_CHARS // 4)
    return printable(texts[0][begin:], SHOWN_CHARS), printable(texts[1][begin:], SHOWN_CHARS)


def _reasons(reports: list[_Report]) -> Counter[str]:
    return sum((report.reasons for report in reports), Counter())


def _nothing_left(reports: list[_Report]) -> ApplianceError:
    reasons = _reasons(reports)
    if not reasons:
        return ApplianceError("rows_empty")
    reason, count = reasons.most_common(1)[0]
    example = next(report.first[reason] for report in reports if reason in report.first)
    told = {"code": reason, **example.parameters}
    return ApplianceError("nothing_left", dropped=reasons.total(), count=count, problems=[told])
