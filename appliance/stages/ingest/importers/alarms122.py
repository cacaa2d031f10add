"""Records of the 122 alarm service."""

from __future__ import annotations

from appliance.stages.ingest.importers import traffic_table
from appliance.stages.ingest.traffic import alarms122

IMPORTER = traffic_table.importer("alarms122", alarms122.FIELDS, alarms122.is_alarm_table, alarms122.rows_of, alarms122.has_description)
