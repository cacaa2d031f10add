"""Files of the traffic simulator SUMO: networks, signal programs, trips, summaries and edge measures, plain or as ``.gz``."""

from __future__ import annotations

from collections.abc import Mapping

from appliance.stages.ingest.importers.importer import Importer, Reading
from appliance.stages.ingest.importers.traffic_table import TELLING
from appliance.stages.ingest.source import Source
from appliance.stages.ingest.traffic.sumo import files


def recognise(source: Source, asked: Mapping[str, str]) -> int:
    """The root element tells; whoever names columns means a table."""
    return TELLING if not asked and files.is_of_sumo(source) else 0


def read(source: Source, _asked: Mapping[str, str]) -> Reading:
    """The rows of all elements."""
    return Reading(files.rows_of(source))


IMPORTER = Importer("sumo", recognise, read, media=("text", "gzip"))
