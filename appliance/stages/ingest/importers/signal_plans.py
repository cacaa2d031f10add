"""Signal timing plans."""

from __future__ import annotations

from appliance.stages.ingest.importers import traffic_table
from appliance.stages.ingest.traffic import plan_headings, signal_plans

IMPORTER = traffic_table.importer("signal_plans", signal_plans.FIELDS, plan_headings.is_plan_table, signal_plans.rows_of)
