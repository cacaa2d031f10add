"""Clean: rows become a smaller and tidier dataset; every row that is left out is listed with its reason.

The rules are a registry (``rules/``); this module knows none of them. Rules about one row come first and run in several processes, then
those that compare rows. The result does not depend on the number of processes.
"""

from __future__ import annotations

import time
from pathlib import Path

import msgspec

from appliance.domain.dataset import ROWS_FILE
from appliance.domain.document import Document
from appliance.domain.errors import ApplianceError
from appliance.domain.event import Artifact, Emit, Notice, Produced, Started
from appliance.domain.redaction import RECHECK_FACT
from appliance.domain.row import row_from_json
from appliance.domain.spec import CleanSpec
from appliance.files.publish import published_folder
from appliance.files.space import disk_full_named, require_space
from appliance.stages.clean.judging import judge_rows
from appliance.stages.clean.passing import pass_rows
from appliance.stages.clean.report import all_reasons, nothing_left


def run(spec: CleanSpec, emit: Emit, processes: int | None = None) -> None:
    """Pass every row through the rules, publish what is left with the record of what is not."""
    began = time.monotonic()
    rows, place = Path(spec.rows), Path(spec.output)
    if not rows.is_file():
        raise ApplianceError("rows_missing", path=str(rows))
    size = rows.stat().st_size
    # What is left may be as large as what was there; near-duplicates need as much again to compare, and a second pass writes anew.
    require_space(place, size if spec.recipe.near_duplicates == "off" else 3 * size)
    emit(Started(total=size, unit="bytes", what="clean"))
    with disk_full_named(place), published_folder(place) as folder:
        first = pass_rows(spec, folder, emit, processes)
        reports = first.reports
        if not first.passed.lines:
            raise nothing_left(reports)
        left = judge_rows(spec.recipe, first, folder, emit)
        with (folder / ROWS_FILE).open("rb") as file:
            kind = "documents" if isinstance(row_from_json(file.readline()), Document) else "conversations"
    dropped = all_reasons(reports.values())
    counts = {"read": first.read, "rows": first.read - dropped.total(), "dropped": dropped.total(), "changed": sum(first.changed)}
    if counts["dropped"]:
        emit(Notice("info", "rows_dropped", counts))
    facts = {
        "counts": counts,
        "kind": kind,
        "rules": {name: report.facts() for name, report in reports.items()},
        "reasons": dict(dropped.most_common()),
        "recipe": msgspec.to_builtins(spec.recipe),
        "seconds": round(time.monotonic() - began, 3),
        **({RECHECK_FACT: first.recheck.facts()} if spec.recheck_redaction else {}),
    }
    emit(Produced(Artifact(role="dataset", path=str(place), sha256=left.sha256, size=left.size, facts=facts)))
