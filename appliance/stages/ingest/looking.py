"""Look: a foreign file is recognised and its first rows are read, exactly as an import would; nothing is written down.

The result is told as the notice ``look_ready``.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import msgspec

from appliance.domain.dataset import Rejected
from appliance.domain.event import Emit, Notice
from appliance.domain.look import Headings, Look
from appliance.domain.spec import LookSpec
from appliance.stages.ingest import columns, records, tables
from appliance.stages.ingest.importers import fitting
from appliance.stages.ingest.importers.importer import Row
from appliance.stages.ingest.opening import Opened, opened
from appliance.stages.ingest.source import Source

MOST_READ = 1000
"""Rows that are read at most for the ones that are shown."""


def run(spec: LookSpec, emit: Emit) -> None:
    """Recognise, read the first rows, tell."""
    source = Source(Path(spec.source), spec.encoding, on_read=lambda _position: None)
    with tempfile.TemporaryDirectory(prefix="greenwave-") as folder:
        found = opened(source, spec.format, spec.columns, spec.encoding, Path(folder) / "unpacked", lambda _position: None)
        emit(Notice("info", "look_ready", msgspec.to_builtins(_look(source, found, spec))))


def _look(source: Source, found: Opened, spec: LookSpec) -> Look:
    accepted: list[Row] = []
    rejected: list[Rejected] = []
    for number, row in enumerate(found.reading.rows):
        if not isinstance(row, Rejected):
            accepted.append(row)
        elif len(rejected) < spec.rows:
            rejected.append(row)
        if len(accepted) == spec.rows or number == MOST_READ:
            break
    return Look(
        name=source.name,
        size=source.size,
        medium=source.medium,
        format=found.format,
        formats=fitting(source),
        kind=found.reading.kind,
        encoding=found.encoding,
        columns=dict(found.reading.columns),
        headings=_headings(source, found, spec),
        entries=dict(found.entries),
        rows=tuple(msgspec.to_builtins(row) for row in accepted),
        rejected=tuple(rejected),
    )


def _headings(source: Source, found: Opened, spec: LookSpec) -> tuple[Headings, ...]:
    if not found.reading.columns:
        return ()
    if found.format in ("csv", "spreadsheet"):
        samples = tables.sample(source, lambda names: columns.understood(names, spec.columns))
        return tuple(Headings(sample.name, sample.columns) for sample in samples)
    names = dict.fromkeys(key for record in records.sample_of(source) for key in record) if found.format != "zip" else ()
    return (Headings("", tuple(names)),) if names else ()
