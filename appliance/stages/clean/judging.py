"""The second pass: rules that have to see all rows judge them, and what they drop moves from the rows to the record."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import msgspec

from appliance.domain.dataset import REJECTED_FILE, ROWS_FILE, printable
from appliance.domain.event import Emit, Notice, Progress, Started
from appliance.domain.recipe import CleaningRecipe
from appliance.domain.row import row_from_json, texts_of
from appliance.files.lines import BLOCK, LineWriter, read_lines
from appliance.stages.clean.passing import FirstPass, rejection
from appliance.stages.clean.report import SHOWN_CHARS, Report
from appliance.stages.clean.rules import JUDGES
from appliance.stages.clean.rules.rule import Dropped

_FOUND = {"near_duplicates": "near_duplicates_found", "contradictions": "contradictions_found"}


class _LineOf(msgspec.Struct):
    line: int


def judge_rows(recipe: CleaningRecipe, first: FirstPass, folder: Path, emit: Emit) -> LineWriter:
    """Apply the rules about all rows; the writer of the rows that are left, for checksum and size."""
    verdicts: dict[int, tuple[str, Dropped]] = {}
    for name, make in JUDGES:
        judge = make(recipe)
        if judge is None:
            continue
        found = judge(first.passed, verdicts.keys(), emit)
        verdicts |= {row: (name, dropped) for row, dropped in found.dropped.items()}
        first.reports[name] = Report(found={**found.facts, "listed": _excerpts(first, found.listed)})
        if found.facts["groups"]:
            emit(Notice("info", _FOUND[name], found.facts))
    return _without(verdicts, first, folder, emit) if verdicts else first.written


def _without(verdicts: dict[int, tuple[str, Dropped]], first: FirstPass, folder: Path, emit: Emit) -> LineWriter:
    """Write rows and record anew."""
    rows, record = folder / ROWS_FILE, folder / REJECTED_FILE
    new_rows, new_record = rows.with_suffix(".new"), record.with_suffix(".new")
    emit(Started(rows.stat().st_size, "bytes", "clean_second"))
    with ExitStack() as stack:
        kept, rejected = stack.enter_context(LineWriter(new_rows)), stack.enter_context(LineWriter(new_record))
        earlier = _records(record)
        waiting = next(earlier, None)
        told = 0
        for number, position, data in read_lines(rows):
            if number - 1 not in verdicts:
                kept.write(data)
            else:
                name, dropped = verdicts[number - 1]
                line, row = first.passed.lines[number - 1], row_from_json(data)
                while waiting is not None and waiting[0] < line:
                    rejected.write(waiting[1])
                    waiting = next(earlier, None)
                first.reports[name].note_drop(line, row, dropped)
                rejected.write(rejection(line, row, dropped))
            if position - told >= BLOCK:
                emit(Progress(position))
                told = position
        while waiting is not None:
            rejected.write(waiting[1])
            waiting = next(earlier, None)
    os.replace(new_rows, rows)  # noqa: PTH105  # beside the other one, inside a folder that nobody sees yet
    os.replace(new_record, record)  # noqa: PTH105  # as above
    for number in verdicts:
        first.changed[number] = False
    return kept


def _records(record: Path) -> Iterator[tuple[int, bytes]]:
    line_of = msgspec.json.Decoder(_LineOf).decode
    for _, _, data in read_lines(record):
        yield line_of(data).line, data


def _excerpts(first: FirstPass, groups: list[list[int]]) -> list[list[dict[str, object]]]:
    """The beginnings of a few rows."""
    wanted = {row for group in groups for row in group}
    found: dict[int, dict[str, object]] = {}
    if wanted:
        for number, _, data in read_lines(first.passed.rows):
            if number - 1 in wanted:
                row = row_from_json(data)
                said = printable("\n".join(texts_of(row)), 2 * SHOWN_CHARS)
                found[number - 1] = {"line": first.passed.lines[number - 1], "source": row.source, "excerpt": said}
                if len(found) == len(wanted):
                    break
    return [[found[row] for row in group] for group in groups]
