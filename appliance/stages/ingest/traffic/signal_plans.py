"""Signal timing plans: explanations, checks, adjustments and, where flows are given, capacity and delay.

A plan whose arithmetic is wrong is listed among the rows that were not accepted, and gives one row: the check that names its errors.
"""

from __future__ import annotations

from collections.abc import Iterator

from appliance.domain.conversation import Conversation
from appliance.domain.dataset import Rejected
from appliance.stages.ingest.tables import Table
from appliance.stages.ingest.traffic import headings, plan_tables, signal_rows
from appliance.stages.ingest.traffic.plan_headings import NAME_FIELDS, PHASE_FIELDS, PLAN_FIELDS


def rows_of(table: Table, asked: headings.Asked) -> Iterator[Conversation | Rejected]:
    """The rows of every plan, in the order in which plans begin."""
    for read in plan_tables.plans_of(table, asked):
        if isinstance(read, Rejected):
            yield read
            continue
        verdict = signal_rows.refusal_of(read.plan)
        if verdict is not None:
            yield plan_tables.refuse(verdict, read)
        yield from signal_rows.rows_of(read.plan, read.place)


FIELDS: headings.Fields = {**PLAN_FIELDS, **PHASE_FIELDS, **NAME_FIELDS}
"""Field → headings that mean it."""
