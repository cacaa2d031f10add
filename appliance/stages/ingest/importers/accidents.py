"""Accident records."""

from __future__ import annotations

from appliance.stages.ingest.importers import traffic_table
from appliance.stages.ingest.traffic import accidents

IMPORTER = traffic_table.importer("accidents", accidents.FIELDS, accidents.is_accident_table, accidents.rows_of, accidents.has_description)
