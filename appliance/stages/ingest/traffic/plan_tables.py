"""Tables of signal plans read into plans, in both forms; whatever cannot be read is a refused row, and nothing is filled in.

An all-red time that has no column is 0, a cycle that has no column is the sum of the phases: that is what the words mean. Every other time
has to be there. In a table with a row per phase an empty intersection, plan, cycle or offset means that of the row above, as in print.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from typing import NamedTuple

from appliance.domain.dataset import Rejected, printable
from appliance.domain.signal_plan import Phase, SignalPlan
from appliance.stages.ingest.refusal import Refused, rejected
from appliance.stages.ingest.tables import Table, TableRow
from appliance.stages.ingest.traffic import headings
from appliance.stages.ingest.traffic.plan_headings import PHASE_FIELDS, LongForm, WideForm, form_of

MOST_ROWS = 200_000
"""Rows that a table with a row per phase may have: it is read whole, since a plan's phases may lie apart."""
MOST_PHASES = 40
"""Phases of one plan; a table of more has rows of many plans and nothing that tells them apart."""
LARGEST_NUMBER = 100_000.0
CARRIED = ("intersection", "plan", "cycle", "offset")
"""What is written once for several rows, the widest first."""

_NUMBER = re.compile(r"([+-]?\d+(?:\.\d+)?)(?:s|sec|秒|pcu/?h|veh/?h|辆/?(?:h|小时))?", re.IGNORECASE)


class Read(NamedTuple):
    """A plan and where it begins."""

    plan: SignalPlan
    number: int
    """Row, as a person counts in the file."""
    place: str
    """``FILE:LINE``, the source of what is made of it."""
    excerpt: bytes


class _Cells(NamedTuple):
    """A record with the headings that its problems are told by."""

    columns: tuple[str, ...]
    cells: list[str]


def plans_of(table: Table, asked: headings.Asked) -> Iterator[Read | Rejected]:
    """Every plan of the table; for each that cannot be read the refused row that says why."""
    form = form_of(table.columns, asked)
    if form is None:
        return
    yield from _wide_plans(table, form) if isinstance(form, WideForm) else _long_plans(table, form)


def refuse(verdict: Refused, row: TableRow | Read) -> Rejected:
    """The record of a row, or of the plan that begins there, that is not accepted."""
    data = row.excerpt if isinstance(row, Read) else _excerpt(row)
    return rejected(verdict, row.number, 0, data)


def number(row: _Cells, place: int, phase: str = "") -> float | None:
    """A figure with or without its unit; None for an empty cell. Raises Refused for anything else."""
    cell = unicodedata.normalize("NFKC", row.cells[place]).strip()
    if cell in {"", "-", "—", "/", "无"}:
        return None
    match = _NUMBER.fullmatch(cell.replace(" ", "").replace(",", ""))
    value = float(match[1]) if match else LARGEST_NUMBER
    if abs(value) >= LARGEST_NUMBER:
        raise _wrong(row, place, phase)
    return value


def _wide_plans(table: Table, form: WideForm) -> Iterator[Read | Rejected]:
    for row in table.rows:
        if isinstance(row, Rejected):
            yield row
            continue
        try:
            cells = _Cells(table.columns, row.cells)
            phases = [phase for key, places in form.phases.items() if (phase := _wide_phase(cells, key, places)) is not None]
            yield Read(_plan(cells, form.fields, phases), row.number, row.place, _excerpt(row))
        except Refused as verdict:
            yield refuse(verdict, row)


def _wide_phase(row: _Cells, key: str, places: dict[str, int]) -> Phase | None:
    """None for a phase that this plan does not have: all its cells are empty."""
    if not any(row.cells[place].strip() for place in places.values()):
        return None
    name = row.cells[places["name"]].strip() if "name" in places else ""
    return _phase(row, places, printable(name or key, 40))


def _long_plans(table: Table, form: LongForm) -> Iterator[Read | Rejected]:
    """A plan per intersection and name; of one with a refused row no other row is a plan either."""
    groups: dict[tuple[str, str], list[TableRow]] = {}
    above: dict[str, str] = {}
    for count, row in enumerate(table.rows):
        if isinstance(row, Rejected) or count >= MOST_ROWS:
            yield row if isinstance(row, Rejected) else refuse(Refused("plan_table_too_long", limit=MOST_ROWS), row)
            continue
        key = _carry_down(row.cells, form.fields, above)
        if not key[0]:
            yield refuse(Refused("plan_without_intersection"), row)
        else:
            groups.setdefault(key, []).append(row)
    for rows in groups.values():
        yield _long_plan(rows, form, table.columns)


def _carry_down(cells: list[str], fields: dict[str, int], above: dict[str, str]) -> tuple[str, str]:
    """Fill in what print leaves out below the first row of a plan, and give the plan's key.

    A new value forgets what stood beside the last one.
    """
    for level, field in enumerate(CARRIED):
        if field not in fields:
            continue
        cell = cells[fields[field]].strip() or above.get(field, "")
        if cell != above.get(field):
            for narrower in CARRIED[level + 1 :]:
                above.pop(narrower, None)
        above[field] = cells[fields[field]] = cell
    return above.get("intersection", ""), above.get("plan", "")


def _long_plan(rows: list[TableRow], form: LongForm, columns: tuple[str, ...]) -> Read | Rejected:
    first, begin = rows[0], _Cells(columns, rows[0].cells)
    phases: list[Phase] = []
    for row in rows:
        cells = _Cells(columns, row.cells)
        try:
            for place in (form.fields[field] for field in ("cycle", "offset") if field in form.fields):
                if number(cells, place) != number(begin, place):
                    raise Refused("plan_says_two_things", field=printable(columns[place], 40))
            phases.append(_phase(cells, form.fields, _phase_name(row.cells, form.fields)))
        except Refused as verdict:
            return refuse(verdict, row)
    try:
        return Read(_plan(begin, form.fields, phases), first.number, first.place, _excerpt(first))
    except Refused as verdict:
        return refuse(verdict, first)


def _phase_name(cells: list[str], fields: dict[str, int]) -> str:
    parts = [cells[fields[field]].strip() for field in ("phase", "movement") if field in fields]
    return printable(" ".join(dict.fromkeys(filter(None, parts))), 40)


def _phase(row: _Cells, places: dict[str, int], name: str) -> Phase:
    if not name:
        raise Refused("plan_phase_without_name")
    figures = {field: number(row, places[field], name) for field in PHASE_FIELDS if field in places}
    green, yellow = figures.get("green"), figures.get("yellow")
    if green is None or yellow is None:
        heading = row.columns[places["green" if green is None else "yellow"]]
        raise Refused("plan_time_missing", phase=name, field=printable(heading, 40))
    for field in ("flow", "saturation_flow", "minimum_green"):
        if (figures.get(field) or 0.0) < 0:
            raise _wrong(row, places[field], name)
    return Phase(
        name=name,
        green=green,
        yellow=yellow,
        all_red=figures.get("all_red") or 0.0,
        red=figures.get("red"),
        minimum_green=figures.get("minimum_green"),
        flow=figures.get("flow"),
        saturation_flow=figures.get("saturation_flow"),
    )


def _wrong(row: _Cells, place: int, phase: str) -> Refused:
    heading, value = printable(row.columns[place], 40), printable(row.cells[place], 40)
    return Refused("plan_number_wrong", field=heading, phase=phase or "-", value=value)


def _plan(row: _Cells, fields: dict[str, int], phases: list[Phase]) -> SignalPlan:
    cells = row.cells
    intersection = cells[fields["intersection"]].strip()
    if not intersection:
        raise Refused("plan_without_intersection")
    if len(phases) > MOST_PHASES:
        raise Refused("plan_with_many_phases", limit=MOST_PHASES)
    names = [phase.name for phase in phases]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise Refused("plan_phase_twice", phase=twice)
    if not phases:
        raise Refused("plan_without_phases")
    stated = number(row, fields["cycle"]) if "cycle" in fields else None
    if stated is None and "cycle" in fields:
        raise Refused("plan_cycle_missing")
    return SignalPlan(
        intersection=printable(intersection, 60),
        name=printable(cells[fields["plan"]].strip(), 60) if "plan" in fields else "",
        phases=tuple(phases),
        cycle=sum(phase.length for phase in phases) if stated is None else stated,
        offset=number(row, fields["offset"]) if "offset" in fields else None,
    )


def _excerpt(row: TableRow) -> bytes:
    return " ".join(cell for cell in row.cells if cell).encode("utf-8", "surrogatepass")
