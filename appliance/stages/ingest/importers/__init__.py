"""The importers: one file and one line each."""

from __future__ import annotations

from collections.abc import Mapping

from appliance.domain.dataset import printable
from appliance.domain.errors import ApplianceError, ExitCode
from appliance.stages.ingest import columns, records
from appliance.stages.ingest.importers import (
    accidents,
    alarms122,
    alpaca,
    csv_table,
    docx,
    html,
    messages,
    pdf,
    plain_text,
    preference,
    sharegpt,
    signal_plans,
    spreadsheet,
    sumo,
    text_rows,
)
from appliance.stages.ingest.importers.importer import Importer
from appliance.stages.ingest.source import Source

IMPORTERS: tuple[Importer, ...] = (
    signal_plans.IMPORTER,
    accidents.IMPORTER,
    alarms122.IMPORTER,
    sumo.IMPORTER,
    preference.IMPORTER,
    sharegpt.IMPORTER,
    messages.IMPORTER,
    alpaca.IMPORTER,
    text_rows.IMPORTER,
    csv_table.IMPORTER,
    spreadsheet.IMPORTER,
    html.IMPORTER,
    docx.IMPORTER,
    pdf.IMPORTER,
    plain_text.IMPORTER,
)
"""In this order a file is offered to them; of two that recognise equally many rows the first gets it."""


def choose(source: Source, asked: str, asked_columns: Mapping[str, str]) -> Importer:
    """The importer called ``asked``, or for ``auto`` the one that recognises most of the file's first rows.

    Raises ``importer_unknown``, ``field_unknown``, ``format_unfit``, or what says best why nothing recognises the file.
    """
    columns.require_fields(asked_columns)
    if asked != "auto":
        named = {importer.name: importer for importer in IMPORTERS}
        if asked not in named:
            raise ApplianceError("importer_unknown", ExitCode.USAGE, format=asked, known=", ".join(named))
        if source.medium not in named[asked].media:
            raise ApplianceError("format_unfit", name=source.name, format=asked, medium=source.medium)
        return named[asked]
    recognised = {importer.name: importer.claims(source, asked_columns) for importer in IMPORTERS}
    best = max(IMPORTERS, key=lambda importer: recognised[importer.name])
    if not recognised[best.name]:
        raise _unrecognised(source)
    return best


def fitting(source: Source) -> tuple[str, ...]:
    """Names of the importers that read this kind of file."""
    return tuple(importer.name for importer in IMPORTERS if source.medium in importer.media)


def _unrecognised(source: Source) -> ApplianceError:
    if source.medium not in ("text", "parquet"):
        return ApplianceError("old_document" if source.medium == "old_document" else "source_foreign", name=source.name)
    container, sample = records.container_of(source), records.sample_of(source)
    if sample:
        keys = dict.fromkeys(key for record in sample for key in record)
        return ApplianceError("columns_unrecognised", existing=printable(", ".join(keys) or "-"), names=list(keys)[: columns.SHOWN_NAMES])
    code = {"list": "json_list_without_objects", "lines": "json_not_rows", "other": "format_unknown"}[container]
    return ApplianceError(code, name=source.name)
