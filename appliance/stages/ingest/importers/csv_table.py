"""Tables as text: CSV, TSV and the like, one row per record below the heading."""

from __future__ import annotations

from collections.abc import Mapping

from appliance.stages.ingest import delimited, records
from appliance.stages.ingest.importers import table_rows
from appliance.stages.ingest.importers.importer import Importer, Reading
from appliance.stages.ingest.source import Source


def recognise(source: Source, asked: Mapping[str, str]) -> int:
    """How many of the first records are equally wide, when the text is no JSON; prose with some commas is no table."""
    if records.container_of(source) != "other":
        return 0
    found = delimited.best_delimiter(source)
    is_table = not source.is_prose_by_name or found.is_even or table_rows.fitting(source, asked)
    return found.even if is_table else 0


def read(source: Source, asked: Mapping[str, str]) -> Reading:
    """One row per record below the heading."""
    return table_rows.reading(source, asked)


IMPORTER = Importer("csv", recognise, read)
