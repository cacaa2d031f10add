"""Signal timing plans: explanations, checks, adjustments and, where flows are given, capacity and delay.

A plan whose arithmetic is wrong is listed among the rows that were not accepted, and gives one row: the check that names its errors.
"""

from __future__ import annotations

from collections.abc import Iterator

from appliance.domain.conversation import Conversation
from appliance.domain.dataset import Rejected
from appliance.stages.ingest.tables import Table
from appliance.stages.ingest.traffic import plan_tables, signal_rows, table_form
from appliance.stages.ingest.traffic.plan_headings import is_plan_table


def rows_of(table: Table) -> Iterator[Conversation | Rejected]:
    """The rows of every plan, in the order in which plans begin."""
    for read in plan_tables.plans_of(table):
        if isinstance(read, Rejected):
            yield read
            continue
        verdict = signal_rows.refusal_of(read.plan)
        if verdict is not None:
            yield plan_tables.refuse(verdict, read)
        yield from signal_rows.rows_of(read.plan, read.place)


IMPORTER = table_form.importer("signal_plans", is_plan_table, rows_of)
