"""Alarm and accident records: which rows come out, that nothing in them is made up, and which records are refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.stages.ingest.refusal import Refused
from appliance.stages.ingest.tables import Table, TableRow
from appliance.stages.ingest.traffic import accidents, alarms122, record_text
from tests.stages.ingest.conftest import Imported
from tests.stages.ingest.office import workbook

Import = Callable[..., Imported]

ALARM_HEADINGS = ["报警时间（年月日）", "报警 地点", "警情类别", "报警内容", "处警情况", "报警人", "联系电话"]
ALARM = [
    "2024-03-05 08:20:15", "中山路与解放路路口", "交通事故", "两辆小客车追尾，无人受伤。占用左转车道。", "民警到场后快处快赔。",
    "张三", "13800000000",
]  # fmt: skip
ACCIDENT_HEADINGS = ["事故时间", "事故地点", "事故形态", "事故经过", "事故成因", "责任划分", "法律依据"]
ACCIDENT = ["2024年3月5日8时20分", "G1高速K12+300", "追尾", "甲车与前方减速的乙车相撞。", "未保持安全距离", "甲车负全部责任", "第四十三条"]


def csv(headings: list[str], *records: list[str]) -> bytes:
    """A table as text."""
    return "\n".join(",".join(f'"{cell}"' for cell in record) for record in (headings, *records)).encode()


def by_task(imported: Imported) -> dict[str, tuple[str, str]]:
    """The question and the answer of each task, for a file of one record."""
    rows = zip(imported.rows, imported.turns, strict=True)
    return {row["labels"]["task"]: (turns[0][1], turns[1][1]) for row, turns in rows}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
def test_an_alarm_gives_three_rows(import_bytes: Import, encoding: str) -> None:
    """Summary, class and structure of an alarm, whatever the export's encoding; the class is a label, too."""
    # One record is too short for telling encodings apart; real exports have thousands.
    imported = import_bytes(csv(ALARM_HEADINGS, ALARM).decode().encode(encoding), "a.csv", encoding=encoding.removesuffix("-sig"))
    found = by_task(imported)
    assert imported.facts["format"] == "alarms122"
    assert found["alarm_summary"][1] == (
        "2024年3月5日8时20分，中山路与解放路路口发生警情（交通事故）。两辆小客车追尾，无人受伤。处置：民警到场后快处快赔。"
    )
    question, answer = found["alarm_classification"]
    assert ALARM[3] in question and answer == "交通事故"
    assert {row["labels"]["class"] for row in imported.rows} == {"交通事故"}
    structure = json.loads(found["alarm_extraction"][1])
    assert structure == {
        "报警时间": ALARM[0], "地点": ALARM[1], "警情类型": ALARM[2], "报警人": ALARM[5], "联系电话": ALARM[6], "处置情况": ALARM[4],
    }  # fmt: skip
    assert all(row["source"] == "a.csv:2" for row in imported.rows)


def test_an_accident_gives_its_own_rows(import_bytes: Import) -> None:
    """Cause, responsibility and summary; a question does not hold its answer."""
    found = by_task(import_bytes(csv(ACCIDENT_HEADINGS, ACCIDENT), "a.csv"))
    assert found["accident_cause"][1] == "未保持安全距离"
    assert "未保持安全距离" not in found["accident_cause"][0] and "全部责任" not in found["accident_cause"][0]
    assert found["accident_responsibility"][1] == "甲车负全部责任。依据：第四十三条。"
    assert "全部责任" not in found["accident_responsibility"][0] and "未保持安全距离" in found["accident_responsibility"][0]
    assert found["accident_summary"][1] == (
        "2024年3月5日8时20分，G1高速K12+300发生一起追尾事故。原因：未保持安全距离。责任认定：甲车负全部责任。"
    )


@pytest.mark.parametrize("left_out", ["事故成因", "责任划分"])
def test_what_is_not_there_is_not_asked(import_bytes: Import, left_out: str) -> None:
    """A table without a responsibility has no question about it, nor has a record whose cell is empty; the same for causes."""
    task = {"事故成因": "accident_cause", "责任划分": "accident_responsibility"}[left_out]
    place = ACCIDENT_HEADINGS.index(left_out)
    narrow = [[cell for at, cell in enumerate(record) if at != place] for record in (ACCIDENT_HEADINGS, ACCIDENT)]
    assert task not in by_task(import_bytes(csv(*narrow), "narrow.csv"))
    for number, nothing in enumerate(("", "无", "/", "NULL", "——")):
        emptied = [nothing if at == place else cell for at, cell in enumerate(ACCIDENT)]
        assert task not in by_task(import_bytes(csv(ACCIDENT_HEADINGS, emptied), f"empty{number}.csv"))


@pytest.mark.parametrize(
    ("field", "cell", "reason"),
    [
        (3, "", "record_without_description"),
        (3, "两车相撞\ufffd\ufffd", "record_text_garbled"),
        (4, "锟斤拷锟斤拷", "record_text_garbled"),
        (1, "ä¸\xadå±±è·¯", "record_text_garbled"),
        (0, "2024-02-30 08:20", "record_time_unreadable"),
        (0, "45356.347", "record_time_unreadable"),
        (0, "昨天上午", "record_time_unreadable"),
        (0, "2024-03-05 25:20", "record_time_unreadable"),
        (3, "字" * 20_001, "record_field_too_long"),
    ],
)
def test_a_record_that_cannot_be_believed_is_listed(import_bytes: Import, field: int, cell: str, reason: str) -> None:
    """Garbled text, impossible dates and missing descriptions refuse the record and nothing else."""
    wrong = [cell if at == field else given for at, given in enumerate(ALARM)]
    imported = import_bytes(csv(ALARM_HEADINGS, ALARM, wrong, ALARM), "a.csv")
    assert imported.reasons == [(3, reason)]
    assert [row["source"] for row in imported.rows] == ["a.csv:2"] * 3 + ["a.csv:4"] * 3


def test_sheets_of_a_workbook(import_bytes: Import) -> None:
    """Each sheet with alarms is read, a title above the headings is passed over, a sheet of something else is listed."""
    alarms = [["三月警情汇总", *[""] * 6], ALARM_HEADINGS, ALARM]
    data = workbook(("三月", alarms), ("四月", [ALARM_HEADINGS, ALARM]), ("说明", [["项目", "备注"], ["口径", "全市"]]))
    imported = import_bytes(data, "警情.xlsx")
    assert imported.facts["format"] == "alarms122"
    assert [row["source"] for row in imported.rows] == ["警情.xlsx:三月:3"] * 3 + ["警情.xlsx:四月:2"] * 3
    assert [row["reason"] for row in imported.rejected] == ["table_of_another_kind"]


def test_columns_can_be_named(import_bytes: Import) -> None:
    """Headings that nobody could guess are named by the operator, and the record of the import says what was used."""
    columns = {"time": "甲", "place": "乙", "description": "丙"}
    imported = import_bytes(
        csv(["甲", "乙", "丙", "警情类型"], [*ALARM[:2], ALARM[3], "追尾"]), "a.csv", format="alarms122", columns=columns
    )
    assert len(imported.rows) == 3
    assert imported.facts["columns"] == {**columns, "type": "警情类型"}


def test_other_tables_are_left_to_others(import_bytes: Import) -> None:
    """A table of questions and answers is no table of alarms, though it has a title and a content."""
    imported = import_bytes(csv(["标题", "内容", "时间", "地点"], ["如何报警？", "拨打122。", "", ""]), "a.csv")
    assert imported.facts["format"] == "csv"


cells = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Co", "Cc"), max_codepoint=0x9FFF), max_size=30)
moments = st.datetimes().map(lambda moment: moment.isoformat(" ", "seconds"))


def table(headings: list[str], record: list[str]) -> Table:
    """One record as the readers give it."""
    return Table("", tuple(headings), iter([TableRow(2, "a.csv:2", list(record))]))


@given(st.tuples(moments | st.just(""), cells, cells, cells, cells, cells, cells).map(list))
def test_every_value_of_a_structure_stands_in_the_question(record: list[str]) -> None:
    """The answers of extraction and classification are copied, not made; this holds for any text in the cells."""
    for row in alarms122.rows_of(table(ALARM_HEADINGS, record), {}):
        labels: dict[str, Any] = getattr(row, "labels", {})
        if labels.get("task") == "alarm_extraction":
            question, answer = (message.content for message in row.messages)  # type: ignore[union-attr]  # refused rows have no labels
            assert all(value in question for value in json.loads(answer).values())
        if labels.get("task") == "alarm_classification":
            assert row.messages[1].content == record[2].strip()  # type: ignore[union-attr]  # the same


@given(st.tuples(moments | st.just(""), cells, cells, cells, cells, cells, cells).map(list))
def test_summaries_are_made_of_the_record(record: list[str]) -> None:
    """Without the words that join them, a summary has nothing but what stands in the record."""
    for row in accidents.rows_of(table(ACCIDENT_HEADINGS, record), {}):
        if getattr(row, "labels", {}).get("task") != "accident_summary":
            continue
        rest = row.messages[1].content  # type: ignore[union-attr]  # refused rows have no labels
        if record[0]:
            rest = rest.replace(record_text.moment(record[0]), "", 1)
        for cell in sorted((cell.strip() for cell in record[1:]), key=len, reverse=True):
            rest = rest.replace(cell, "", 1) if cell else rest
            rest = rest.replace(cell.removesuffix("事故"), "", 1) if cell else rest
        for word in ("发生一起", "交通", "事故", "原因：", "责任认定：", "，", "。"):
            rest = rest.replace(word, "")
        assert rest == ""


@pytest.mark.parametrize(
    ("given_time", "written"),
    [
        ("2024-03-05 08:20:15", "2024年3月5日8时20分"),
        ("2024/3/5 8:20", "2024年3月5日8时20分"),
        ("2024.03.05", "2024年3月5日"),
        ("２０２４年３月５日８时", "2024年3月5日8时"),
        ("2024年3月5日8时20分30秒", "2024年3月5日8时20分"),
        ("20240305082015", "2024年3月5日8时20分"),
        ("2024-03-05T08:20:15.000+08:00", "2024年3月5日8时20分"),
        ("2024-02-29", "2024年2月29日"),
    ],
)
def test_times_are_written_out(given_time: str, written: str) -> None:
    """The forms of dates that police systems export."""
    assert record_text.moment(given_time) == written


@given(st.text(max_size=30))
def test_no_other_text_is_a_time(text: str) -> None:
    """Anything else is refused, never guessed at."""
    try:
        written = record_text.moment(text)
    except Refused:
        return
    assert written[:4].isdecimal() or not text
