"""Spreadsheets: XLSX, XLS, XLSB and ODS, one row per record of every sheet whose columns are understood."""

from __future__ import annotations

from collections.abc import Mapping

from appliance.stages.ingest.importers import table_rows
from appliance.stages.ingest.importers.importer import Importer, Reading
from appliance.stages.ingest.source import Source


def recognise(_source: Source, _asked: Mapping[str, str]) -> int:
    """No other importer reads spreadsheets."""
    return 1


def read(source: Source, asked: Mapping[str, str]) -> Reading:
    """The sheets in their order."""
    return table_rows.reading(source, asked)


IMPORTER = Importer("spreadsheet", recognise, read, media=("spreadsheet",))
