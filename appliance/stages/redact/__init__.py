"""Redact: personal data in rows becomes pseudonyms that cannot exist; or rows are checked for it, and nothing is changed.

The rules are a registry (``rules/``); this module knows none of them, only the order of the work, the report and the list for people. It
knows nothing of where a dataset came from. What was found is never written anywhere: reports have counts and masked examples.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from appliance.domain.dataset import ROWS_FILE
from appliance.domain.errors import ApplianceError
from appliance.domain.event import Artifact, Emit, Notice, Produced, Progress, Started
from appliance.domain.redaction import FINDS_SCORE, REPORT_FILE, REVIEW_FILE, KindReport, RedactionReport, Uncertain
from appliance.domain.spec import RedactSpec
from appliance.files.checksum import file_sha256, size_of
from appliance.files.lines import LineWriter
from appliance.files.publish import published_file, published_folder
from appliance.files.space import disk_full_named
from appliance.stages.redact.blocks import EXAMPLES, Done, blocks, workers
from appliance.stages.redact.deciding import decided
from appliance.stages.redact.drawing import key_id
from appliance.stages.redact.keys import keep_key, new_key, read_key

_MOST_IN_RECORD = 1000
"""Of them, how many the record of a check keeps."""
_MOST_LISTED = 100_000
"""Different uncertain finds that the review list has room for; further ones are counted."""


def run(spec: RedactSpec, emit: Emit) -> None:
    """Find and replace, or find only; publish rows, report and review list, or the report alone."""
    rows = Path(spec.rows)
    if not rows.is_file():
        raise ApplianceError("rows_missing", path=str(rows))
    emit(Started(total=rows.stat().st_size, unit="bytes", what="check_redaction" if spec.check else "redact"))
    with disk_full_named(Path(spec.output)):
        if spec.check:
            _check(spec, rows, emit)
        else:
            _redact(spec, rows, emit)


def _redact(spec: RedactSpec, rows: Path, emit: Emit) -> None:
    key = read_key(Path(spec.key_file)) if spec.key_file else new_key()
    place, story = Path(spec.output), _Story(spec, rows)
    with published_folder(place) as folder:
        with LineWriter(folder / ROWS_FILE) as kept:
            for done in story.through(key, emit):
                for line in done.lines:
                    kept.write(line)
        report = story.report(key)
        (folder / REPORT_FILE).write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=1))
        with LineWriter(folder / REVIEW_FILE) as listing:
            for uncertain in story.uncertain():
                listing.write(msgspec.json.encode(uncertain))
        if spec.keep_key:
            keep_key(key, Path(spec.keep_key))
    facts = {
        "kind": "documents" if story.documents else "conversations",
        "counts": {"read": report.rows, "rows": kept.count, "changed": report.changed},
        "redaction": report.facts(),
        "recipe": msgspec.to_builtins(spec.recipe),
    }
    found = sum(kind.found for kind in report.kinds.values())
    emit(Notice("info", "rows_redacted", {"rows": report.rows, "changed": report.changed, "found": found}))
    if report.uncertain_distinct:
        code = "finds_to_review" if report.passed else "finds_wait_for_review"
        emit(Notice("warning", code, {"count": report.uncertain_distinct}))
    if report.unmatched:
        emit(Notice("warning", "decisions_unmatched", {"count": report.unmatched}))
    emit(Produced(Artifact(role="dataset", path=str(place), sha256=kept.sha256, size=kept.size, facts=facts)))


def _check(spec: RedactSpec, rows: Path, emit: Emit) -> None:
    place, story = Path(spec.output), _Story(spec, rows)
    for _ in story.through(b"", emit):
        pass
    report = story.report(b"")
    with published_file(place) as partial:
        partial.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=1))
    review = [msgspec.to_builtins(uncertain) for uncertain in story.uncertain()[:_MOST_IN_RECORD]]
    facts = {"scores": {FINDS_SCORE: float(report.finds)}, "redaction": report.facts(), "review": review}
    code = "check_found_nothing" if report.passed else "check_found"
    emit(Notice("info" if report.passed else "warning", code, {"rows": report.rows, "count": report.finds}))
    emit(Produced(Artifact(role="report", path=str(place), sha256=file_sha256(place), size=size_of(place), facts=facts)))


class _Story:
    """What happened to a dataset, gathered block by block."""

    def __init__(self, spec: RedactSpec, rows: Path) -> None:
        self._spec = spec
        self._path = rows
        self._rows = 0
        self._changed = 0
        self.documents = 0
        """How many of the rows are documents."""
        self._kinds: dict[str, KindReport] = {}
        self._listed: dict[bytes, list[Any]] = {}
        """By digest: the first find and how many there are."""
        self._chosen, self._unmatched = decided(spec, rows)

    def through(self, key: bytes, emit: Emit) -> Any:
        """Every block, done and counted."""
        size = self._path.stat().st_size
        with workers(self._spec.recipe, key, self._chosen, size, self._spec.check) as work:
            source = blocks(self._path)
            try:
                for done in work(source):
                    self._note(done)
                    emit(Progress(done.position))
                    yield done
            except ApplianceError as error:
                if error.code == "rows_damaged":
                    error.parameters["path"] = str(self._path)
                raise

    def _note(self, done: Done) -> None:
        self._rows += done.rows
        self.documents += done.documents
        self._changed += done.changed
        for kind, report in done.kinds.items():
            self._kinds.setdefault(kind, KindReport()).add(report, EXAMPLES)
        for one in done.listed:
            entry = self._listed.get(one.digest)
            if entry is not None:
                entry[1] += 1
            elif len(self._listed) < _MOST_LISTED:
                self._listed[one.digest] = [one, 1]

    def report(self, key: bytes) -> RedactionReport:
        """The report of what was seen."""
        spec = self._spec
        report = RedactionReport(
            passed=True,
            checked_only=spec.check,
            rows=self._rows,
            changed=self._changed,
            kinds=dict(sorted(self._kinds.items())),
            left_out=tuple(filter(None, spec.recipe.leave.split(","))),
            uncertain_distinct=len(self._listed),
            decisions=len(spec.decisions) - self._unmatched,
            unmatched=self._unmatched,
            decided_by=spec.decided_by,
            key_id=key_id(key) if key else "",
            key_kept=bool(spec.keep_key),
        )
        report.passed = report.finds == 0
        return report

    def uncertain(self) -> list[Uncertain]:
        """The review list."""
        return [Uncertain(one.place, one.kind, one.length, count, one.masked) for one, count in self._listed.values()]
