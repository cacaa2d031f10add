"""Group: rows that belong together are listed before anything becomes of them: near-duplicates, or contradicting answers to one question.

Nothing is changed and no dataset made; the list is a file of JSON lines, one group each, the largest first.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from pathlib import Path

import msgspec

from appliance.domain.dataset import printable
from appliance.domain.errors import ApplianceError
from appliance.domain.event import Artifact, Emit, Produced, Progress, Started
from appliance.domain.row import row_from_json, texts_of
from appliance.domain.spec import GroupSpec
from appliance.files.checksum import file_sha256
from appliance.files.lines import BLOCK, LineWriter, read_lines
from appliance.files.publish import published_file
from appliance.files.rows import read_rows
from appliance.files.space import disk_full_named, require_space
from appliance.stages.clean.rules.contradictions import contradicting, question_of
from appliance.stages.near_duplicates import find_groups

SHOWN_ROWS = 20
"""Rows that are shown of a group."""
SHOWN_GROUPS = 1000
"""Groups that are shown; the others are counted."""
SHOWN_CHARS = 300


def run(spec: GroupSpec, emit: Emit) -> None:
    """Find the groups, read what is shown of them, publish the list."""
    rows, place = Path(spec.rows), Path(spec.output)
    if not rows.is_file():
        raise ApplianceError("rows_missing", path=str(rows))
    require_space(place, 2 * rows.stat().st_size)
    place.parent.mkdir(parents=True, exist_ok=True)
    with disk_full_named(place), published_file(place) as partial:
        groups, facts = _near(spec, rows, partial, emit) if spec.kind == "near_duplicates" else _contradicting(rows, emit)
        groups = sorted(groups, key=lambda group: (-len(group), group[0]))[:SHOWN_GROUPS]
        _write(rows, groups, partial)
    emit(Produced(Artifact(role="groups", path=str(place), sha256=file_sha256(place), size=place.stat().st_size, facts=facts)))


def _near(spec: GroupSpec, rows: Path, partial: Path, emit: Emit) -> tuple[list[Sequence[int]], dict[str, int]]:
    with rows.open("rb", buffering=BLOCK) as file:
        count = sum(1 for _ in file)
    if not count:
        raise ApplianceError("rows_empty")
    scratch = partial.with_name(partial.name + "-sketches")
    scratch.unlink(missing_ok=True)
    found = find_groups(rows, count, spec.similarity, scratch, emit)
    return [group.tolist() for group in found.members], {**found.facts(), "rows": count}


def _contradicting(rows: Path, emit: Emit) -> tuple[list[Sequence[int]], dict[str, int]]:
    emit(Started(rows.stat().st_size, "bytes", "contradictions"))
    questions, told = array("Q"), 0
    for _, position, row in read_rows(rows):
        questions.append(question_of(row))
        if position - told >= BLOCK:
            emit(Progress(position))
            told = position
    if not questions:
        raise ApplianceError("rows_empty")
    groups: list[Sequence[int]] = [[row for row, _ in given] for given in contradicting(rows, questions)]
    grouped = [len(group) for group in groups]
    return groups, {"groups": len(groups), "grouped": sum(grouped), "largest": max(grouped, default=0), "rows": len(questions)}


def _write(rows: Path, groups: list[Sequence[int]], partial: Path) -> None:
    wanted = {row for group in groups for row in group[:SHOWN_ROWS]}
    shown: dict[int, dict[str, object]] = {}
    for number, _, data in read_lines(rows):
        if number - 1 in wanted:
            row = row_from_json(data)
            said = printable("\n".join(texts_of(row)), SHOWN_CHARS)
            shown[number - 1] = {"line": number, "source": row.source, "excerpt": said}
    with LineWriter(partial) as writer:
        for number, group in enumerate(groups, 1):
            told = {"group": number, "size": len(group), "rows": [shown[row] for row in group[:SHOWN_ROWS]]}
            writer.write(msgspec.json.encode(told))
