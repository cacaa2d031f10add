"""Whatever lies in a table or a file: rows, refused rows or one named error, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from appliance.domain.conversation import Conversation
from appliance.domain.dataset import Rejected
from appliance.domain.errors import ApplianceError
from appliance.stages.ingest.source import Source
from appliance.stages.ingest.tables import Table, TableRow
from appliance.stages.ingest.traffic import accidents, alarms122, headings, plan_headings, signal_plans
from appliance.stages.ingest.traffic.sumo import files
from tests.stages.ingest.traffic.conftest import Simulation

FORMS = {
    "alarms122": (alarms122.rows_of, ("报警时间", "地点", "警情类型", "报警内容", "处置", "摘要", "伤亡")),
    "accidents": (accidents.rows_of, ("时间", "地点", "类型", "事故经过", "原因", "责任", "依据")),
    "long plans": (signal_plans.rows_of, ("路口", "方案", "周期", "相位差", "相位", "绿灯", "黄灯", "全红", "红灯", "流量", "饱和流量")),
    "wide plans": (signal_plans.rows_of, ("路口", "周期", "A绿灯", "A黄灯", "A最小绿灯", "B绿灯", "B黄灯", "B名称")),
}
cells = st.sampled_from(
    ["", "40", "3", "90", "-1", "0", "1e9", "A", "A口", "无", "2024-03-05 08:20", "９０秒", "{phase}", "{0}", "\x1b[2J", "[/x]"]
)
records = st.lists(st.lists(cells | st.text(max_size=8), min_size=11, max_size=11), max_size=6)


@pytest.mark.parametrize("form", FORMS)
@given(records)
def test_any_table_gives_rows_or_reasons(form: str, given_records: list[list[str]]) -> None:
    """No cell stops an import; every row that comes out has a question, an answer, a place and a task."""
    rows_of, columns = FORMS[form]
    rows = iter([TableRow(number, f"t.csv:{number}", record[: len(columns)]) for number, record in enumerate(given_records, 2)])
    for row in rows_of(Table("", columns, rows), {}):
        if isinstance(row, Rejected):
            assert row.reason and row.line >= 2 and row.excerpt.isprintable()
        else:
            assert isinstance(row, Conversation) and row.source.startswith("t.csv:") and row.labels["task"]
            assert [message.role for message in row.messages] == ["user", "assistant"] and all(one.content.strip() for one in row.messages)


@given(
    st.lists(
        st.text(max_size=12) | st.sampled_from(["相位1绿灯", "绿灯", "黄灯", "路口", "报警内容", "事故", "(((((", "绿灯绿灯"]), max_size=12
    )
)
def test_any_headings_are_understood_or_not(columns: Sequence[str]) -> None:
    """Any names of columns are looked at without an error, and places lie within them."""
    plan_headings.is_plan_table(columns, {})
    for fields in (alarms122.FIELDS, accidents.FIELDS, signal_plans.FIELDS):
        places = headings.places_of(columns, fields, {})
        assert len(set(places.values())) == len(places) and all(0 <= place < len(columns) for place in places.values())


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(["net", "trips", "packed_trips", "summary", "edges"]),
    st.lists(st.tuples(st.floats(0, 1), st.binary(max_size=3) | st.sampled_from([b"-", b"x", b"1e9", b":", b"."])), max_size=4),
)
def test_any_damage_is_a_named_error_or_a_reason(
    simulation: Simulation, tmp_path: Path, which: str, damage: list[tuple[float, bytes]]
) -> None:
    """A file of the simulator with bytes put in anywhere is read, refused by name, or read with reasons."""
    path: Path = getattr(simulation, which)
    data = bytearray(path.read_bytes())
    for share, put_in in damage:
        place = int(share * len(data))
        data[place : place + len(put_in)] = put_in
    damaged = tmp_path / "damaged"
    damaged.write_bytes(data)
    code = ""
    rows: list[Conversation | Rejected] = []
    try:
        source = Source(damaged, "utf-8", on_read=lambda _: None)
        rows = list(files.rows_of(source)) if files.is_of_sumo(source) else []
    except ApplianceError as error:
        code = error.code
    assert code in {"", "xml_broken", "xml_with_document_type", "xml_too_deep", "file_damaged", "sumo_root_unknown", "source_not_text"}
    assert all(isinstance(row, Conversation | Rejected) for row in rows)


@pytest.mark.parametrize("make", [lambda: "(" * 50_000, lambda: "绿灯" * 50_000, lambda: "（" * 50_000 + "）" * 50_000])
def test_endless_headings_take_no_time(make: Callable[[], str]) -> None:
    """A name of a hundred thousand characters is no heading and is not searched."""
    columns = [make()] * 290
    assert plan_headings.form_of(columns, {}) is None and headings.places_of(columns, alarms122.FIELDS, {}) == {}
