"""Ingest: a foreign file becomes a dataset of conversations or documents, every row of it accepted or listed as rejected.

It does not judge what rows say (that is cleaning) and changes no text; it knows neither the registry nor where files come from.
"""

from __future__ import annotations

import shutil
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from appliance.domain.conversation import Conversation, to_json
from appliance.domain.dataset import REJECTED_FILE, ROWS_FILE, DatasetKind, Rejected
from appliance.domain.document import Document
from appliance.domain.errors import ApplianceError
from appliance.domain.event import Artifact, Emit, Notice, Produced, Progress, Started
from appliance.domain.spec import IngestSpec
from appliance.files.lines import LineWriter
from appliance.files.publish import published_folder
from appliance.files.space import disk_full_named
from appliance.stages.ingest import columns
from appliance.stages.ingest.importers.importer import Row
from appliance.stages.ingest.opening import opened
from appliance.stages.ingest.source import Source


def run(spec: IngestSpec, emit: Emit) -> None:
    """Recognise the file, read it row by row, publish the dataset."""
    began = time.monotonic()
    source = Source(Path(spec.source), spec.encoding, on_read=lambda position: emit(Progress(position)))
    if source.medium == "text" and source.encoding != "utf-8":
        emit(Notice("info", "encoding_found", {"name": source.name, "encoding": source.encoding, "sample": source.first_words()}))
    columns.require_fields(spec.columns)
    place = Path(spec.output)
    with disk_full_named(place), published_folder(place) as folder:
        unpacked = folder / "unpacked"
        emit(Started(total=source.size, unit="bytes", what="ingest"))
        found = opened(source, spec.format, spec.columns, spec.encoding, unpacked, lambda position: emit(Progress(position)))
        if found.size != source.size:
            emit(Started(total=found.size, unit="bytes", what="ingest"))
        rows, tally = _write(found.reading.rows, folder)
        if not rows.count:
            raise _nothing_accepted(source.name, tally, found.reading.kind)
        shutil.rmtree(unpacked, ignore_errors=True)
    if tally.counts["rejected"]:
        emit(Notice("warning", "rows_rejected", tally.counts))
    facts = {
        "counts": {**tally.counts, "rows": rows.count},
        "format": found.format,
        "kind": found.reading.kind,
        "encoding": found.encoding,
        "entries": dict(found.entries),
        "columns": dict(found.reading.columns),
        "reasons": dict(tally.reasons.most_common()),
        "characters": tally.characters,
        "turns": tally.turns,
        "preferences": tally.preferences,
        "source": {"name": source.name, "size": source.size, "sha256": source.sha256},
        "seconds": round(time.monotonic() - began, 3),
    }
    emit(Produced(Artifact(role="dataset", path=str(place), sha256=rows.sha256, size=rows.size, facts=facts)))


class _Tally:
    """What is counted on the way."""

    def __init__(self) -> None:
        self.accepted = 0
        self.characters = 0
        self.turns = 0
        self.preferences = 0
        self.reasons: Counter[str] = Counter()
        self.example: dict[str, Rejected] = {}

    @property
    def counts(self) -> dict[str, int]:
        """Rows read, accepted and rejected; the first is the sum of the others."""
        rejected = self.reasons.total()
        return {"read": self.accepted + rejected, "accepted": self.accepted, "rejected": rejected}


def _write(rows: Iterator[Row], folder: Path) -> tuple[LineWriter, _Tally]:
    tally = _Tally()
    encode = msgspec.json.Encoder().encode
    with LineWriter(folder / ROWS_FILE) as accepted, LineWriter(folder / REJECTED_FILE) as refused:
        for row in rows:
            if isinstance(row, Conversation):
                accepted.write(to_json(row))
                tally.accepted += 1
                tally.turns += len(row.messages)
                tally.preferences += bool(row.rejected)
                for message in row.messages:
                    tally.characters += len(message.content)
            elif isinstance(row, Document):
                accepted.write(encode(row))
                tally.accepted += 1
                tally.characters += len(row.text)
            else:
                refused.write(encode(row))
                tally.reasons[row.reason] += 1
                tally.example.setdefault(row.reason, row)
    return accepted, tally


def _nothing_accepted(name: str, tally: _Tally, kind: DatasetKind) -> ApplianceError:
    if not tally.reasons:
        return ApplianceError("source_without_text" if kind == "documents" else "source_without_rows", name=name)
    reason, count = tally.reasons.most_common(1)[0]
    example = tally.example[reason]
    told: dict[str, Any] = {"code": reason, **example.parameters}
    return ApplianceError("nothing_accepted", name=name, rejected=tally.counts["rejected"], count=count, line=example.line, problems=[told])
