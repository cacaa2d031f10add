"""A person's decisions, made for places, become decisions for what stands there: only the source has it, so it is looked up there again."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import msgspec

from appliance.domain.redaction import Choice
from appliance.domain.row import row_from_json
from appliance.domain.spec import RedactSpec
from appliance.files.lines import read_lines
from appliance.stages.redact.redactor import Redactor


def decided(spec: RedactSpec, rows: Path) -> tuple[dict[tuple[str, str], Choice], int]:
    """What was decided about each (kind, value), and how many decisions fit no find of these rows."""
    by_line: dict[int, dict[str, Choice]] = defaultdict(dict)
    unmatched = 0
    for decision in spec.decisions:
        line, _, rest = decision.place.partition(":")
        if line.isascii() and line.isdigit():
            by_line[int(line)][rest] = decision.choice
        else:
            unmatched += 1
    chosen: dict[tuple[str, str], Choice] = {}
    redactor = Redactor(spec.recipe, b"", {})
    last = max(by_line, default=0)
    for number, _, row in read_lines(rows) if last else ():
        if number in by_line:
            unmatched += _decided_in(row, by_line.pop(number), redactor, chosen)
        if number >= last:
            break
    return chosen, unmatched + sum(map(len, by_line.values()))


def _decided_in(line: bytes, wanted: dict[str, Choice], redactor: Redactor, chosen: dict[tuple[str, str], Choice]) -> int:
    """Add what is decided about one row; how many decisions fit nothing."""
    try:
        row = row_from_json(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return len(wanted)
    places = {f"{part}:{find.start}": (find.kind, find.value) for part, find in redactor.finds(row)}
    for place, choice in wanted.items():
        if place in places:
            chosen[places[place]] = choice
    return sum(place not in places for place in wanted)
