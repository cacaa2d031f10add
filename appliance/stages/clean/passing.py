"""The first pass: every row through the rules about one row, in several processes for a large file, then past the rows before it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache, partial
from pathlib import Path
from typing import NamedTuple

import msgspec

from appliance.domain.dataset import REJECTED_FILE, ROWS_FILE, Rejected, printable
from appliance.domain.event import Emit, Progress
from appliance.domain.row import Row, row_from_json, row_to_json, texts_of
from appliance.domain.spec import CleanSpec
from appliance.files.lines import BLOCK, LineWriter
from appliance.files.rows import parsed_row
from appliance.processes.pool import ordered_map
from appliance.stages.clean.report import Report
from appliance.stages.clean.rules import MEETING_RULES, ROW_RULES
from appliance.stages.clean.rules.contradictions import question_of
from appliance.stages.clean.rules.rule import Apply, Dropped, Meet, Passed
from appliance.stages.redact.recheck import Rechecked, recheck

ALONE_UP_TO = 16 << 20
"""Bytes of a file that is cleaned sooner than further processes have started."""

_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True)
class Block:
    """Some whole lines of the parent's file."""

    first_line: int
    data: bytes
    position: int
    """In the file behind them, in bytes."""


class Kept(NamedTuple):
    """A row that has passed the rules about one row."""

    line: int
    data: bytes
    content_hash: bytes
    question: int
    changed: bool


@dataclass
class Outcome:
    """What became of a block."""

    position: int
    read: int = 0
    kept: list[Kept] = field(default_factory=list)
    rejected: list[tuple[int, bytes]] = field(default_factory=list)
    """(line, record) of each row that was dropped."""
    reports: dict[str, Report] = field(default_factory=dict)
    recheck: Rechecked = field(default_factory=Rechecked)


@dataclass
class FirstPass:
    """What the first pass leaves behind."""

    passed: Passed
    written: LineWriter
    """Of the rows that passed, for checksum and size."""
    reports: dict[str, Report]
    read: int = 0
    changed: bytearray = field(default_factory=bytearray)
    """Of each row that is left, whether a rule has changed it."""
    recheck: Rechecked = field(default_factory=Rechecked)
    """What personal data may have come to light."""


def pass_rows(spec: CleanSpec, folder: Path, emit: Emit, processes: int | None = None) -> FirstPass:
    """Write the rows that pass, and the record of the others, to ``folder``. Emits Progress in bytes; raises ``rows_damaged``."""
    rows = Path(spec.rows)
    meetings = {name: meet for name, make in MEETING_RULES if (meet := make(spec.recipe)) is not None}
    reports = {name: Report() for name in (*_rules_of_this_process(spec), *meetings)}
    workers = processes or (1 if rows.stat().st_size <= ALONE_UP_TO else None)
    outcomes = ordered_map(partial(clean_block, spec), _blocks(rows), workers)
    with LineWriter(folder / ROWS_FILE) as kept, LineWriter(folder / REJECTED_FILE) as rejected:
        first = FirstPass(Passed(folder / ROWS_FILE), kept, reports)
        for outcome in outcomes:
            first.read += outcome.read
            first.recheck += outcome.recheck
            for name, report in outcome.reports.items():
                first.reports[name].add(report)
            for row in outcome.kept:
                if not _dropped_by(meetings, row, first.reports, outcome):
                    kept.write(row.data)
                    first.passed.lines.append(row.line)
                    first.passed.questions.append(row.question)
                    first.changed.append(row.changed)
            for _, record in sorted(outcome.rejected):
                rejected.write(record)
            emit(Progress(outcome.position))
    return first


def row_rules(spec: CleanSpec) -> dict[str, Apply]:
    """The rules about one row that are switched on."""
    return {name: apply for name, make in ROW_RULES if (apply := make(spec)) is not None}


def clean_block(spec: CleanSpec, block: Block) -> Outcome:
    """Every row of a block through the rules about one row."""
    rules = _rules_of_this_process(spec)
    outcome = Outcome(block.position, reports={name: Report() for name in rules})
    compares = spec.recipe.contradictions != "off"
    lines = block.data.removesuffix(b"\n").split(b"\n")
    outcome.read = len(lines)
    for line, data in enumerate(lines, block.first_line):
        row = parsed_row(data, spec.rows, line)
        result = _through(row, line, rules, outcome.reports)
        if isinstance(result, Dropped):
            outcome.rejected.append((line, rejection(line, row, result)))
        else:
            asked = question_of(result) if compares else 0
            outcome.kept.append(Kept(line, row_to_json(result), result.content_hash(), asked, result is not row))
            if spec.recheck_redaction and result is not row:
                outcome.recheck += recheck(result)
    return outcome


def rejection(line: int, row: Row, dropped: Dropped) -> bytes:
    """The record of a row that is left out."""
    return _encode(Rejected(line, dropped.reason, dropped.parameters, printable("\n".join(texts_of(row))), source=row.source))


@lru_cache(maxsize=1)
def _rules_of_this_process(spec: CleanSpec) -> dict[str, Apply]:
    """Made once in each process: some rules read a tokenizer."""
    return row_rules(spec)


def _through(row: Row, line: int, rules: dict[str, Apply], reports: dict[str, Report]) -> Row | Dropped:
    """The row after all rules, or the verdict of the first one that drops it."""
    for name, apply in rules.items():
        result = apply(row)
        if result is row:
            continue
        if isinstance(result, Dropped):
            reports[name].note_drop(line, row, result)
            return result
        reports[name].note_change(line, row, result)
        row = result
    return row


def _dropped_by(meetings: dict[str, Meet], row: Kept, reports: dict[str, Report], outcome: Outcome) -> bool:
    """Whether the row says the same as an earlier one; it is on record then."""
    for name, meet in meetings.items():
        dropped = meet(row.content_hash, row.line)
        if dropped is not None:
            whole = row_from_json(row.data)
            reports[name].note_drop(row.line, whole, dropped)
            outcome.rejected.append((row.line, rejection(row.line, whole, dropped)))
            return True
    return False


def _blocks(rows: Path) -> Iterator[Block]:
    line, position = 1, 0
    with rows.open("rb", buffering=BLOCK) as file:
        while data := file.read(BLOCK):
            data += file.readline()
            position += len(data)
            yield Block(line, data, position)
            line += data.count(b"\n")
