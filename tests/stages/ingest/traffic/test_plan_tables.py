"""Signal plan tables in the forms in which departments keep them, and what is refused in them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from appliance.stages.ingest import columns
from appliance.stages.ingest.traffic import accidents, alarms122, signal_plans
from tests.stages.ingest.conftest import Imported
from tests.stages.ingest.office import workbook
from tests.stages.ingest.traffic.arithmetic import figures_after

Import = Callable[..., Imported]

LONG = """\
路口名称,时段,周期(s),相位差（秒）,相位,放行方向,绿灯时间(s),黄灯,全红,最小绿灯,关键流量(pcu/h),饱和流量(pcu/h)
中山路-解放路,早高峰,90,12,1,东西直行,40,3,2,10,700,1800
,,,,2,南北直行,40秒,3,2,10,500,"1,750"
中山路-解放路,平峰,70,12,1,东西直行,30,3,2,10,300,1800
,,,,2,南北直行,30,3,2,10,300,1750
"""
WIDE = """\
路口,方案,周期,相位差,东西直行绿灯,东西直行黄灯,东西直行全红,南北直行绿灯,南北直行黄灯,南北直行全红,左转绿灯,左转黄灯,左转全红
甲路口,1,80,0,37,3,0,37,3,0,,,
乙路口,1,120,30,40,3,2,40,3,2,25,3,2
"""
NUMBERED = "路口,周期,相位1名称,相位1绿灯,相位1黄灯,相位2名称,P2,相位2绿灯,相位2黄灯\n甲,66,东西,30,3,南北,x,30,3\n"


def explained(imported: Imported) -> list[str]:
    """Answers that explain a plan."""
    return [turns[1][1] for turns, row in zip(imported.turns, imported.rows, strict=True) if row["labels"]["task"] == "signal_explain"]


def test_a_row_per_phase(import_bytes: Import) -> None:
    """Rows of one intersection and part of the day are one plan; what is printed once holds below, units are read."""
    imported = import_bytes(LONG.encode("gb18030"), "配时.csv")
    first, second = explained(imported)
    assert (imported.facts["format"], imported.rejected) == ("signal_plans", [])
    assert (
        "中山路-解放路（早高峰）" in first
        and "1 东西直行：绿灯 40 s" in first
        and "2 南北直行：绿灯 40 s" in first
        and "相位差 12 s" in first
    )
    assert figures_after(second, "绿灯") == [30, 30] and "平峰" in second
    tasks = [row["labels"]["task"] for row in imported.rows if row["source"] == "配时.csv:2"]
    assert tasks.count("signal_capacity") == 3 and tasks.count("signal_adjust") == 4


def test_a_row_per_plan(import_bytes: Import) -> None:
    """Columns for each phase; a phase whose cells are empty is not in that plan."""
    imported = import_bytes(WIDE.encode(), "wide.csv")
    first, second = explained(imported)
    assert imported.rejected == []
    assert figures_after(first, "绿灯") == [37, 37] and figures_after(second, "绿灯") == [40, 40, 25]
    assert "东西直行：" in first and "左转：" in second


def test_phases_may_be_numbered(import_bytes: Import) -> None:
    """``相位1绿灯`` is the green of phase 1, whose name has a column of its own."""
    (answer,) = explained(import_bytes(NUMBERED.encode(), "n.csv"))
    assert "1. 东西：绿灯 30 s" in answer and "2. 南北：绿灯 30 s" in answer


def test_sheets_of_plans(import_bytes: Import) -> None:
    """A workbook with a sheet per part of the day; places are sheet and row."""
    rows = [line.split(",") for line in WIDE.splitlines()]
    imported = import_bytes(workbook(("早高峰", rows), ("平峰", rows)), "配时.xlsx")
    assert len(explained(imported)) == 4
    assert {row["source"] for row in imported.rows} == {f"配时.xlsx:{sheet}:{row}" for sheet in ("早高峰", "平峰") for row in (2, 3)}


@pytest.mark.parametrize(
    ("change", "reason", "line"),
    [
        (("早高峰,90", "早高峰,80"), "plan_cycle_mismatch", 2),
        (("早高峰,90,12", "早高峰,90,95"), "plan_offset_wrong", 2),
        (("东西直行,40,3,2,10,700", "东西直行,76,3,2,10,700"), "plan_cycle_mismatch", 2),
        (("40秒,3,2,10", "40秒,3,2,50"), "plan_green_short", 2),
    ],
)
def test_a_wrong_plan_is_listed_and_becomes_a_check(import_bytes: Import, change: tuple[str, str], reason: str, line: int) -> None:
    """A plan that does not add up is named with its place, and gives one row, which says what is wrong."""
    imported = import_bytes(LONG.replace(*change).encode(), "p.csv")
    assert imported.reasons == [(line, reason)]
    (only,) = [row for row in imported.rows if row["source"] == "p.csv:2"]
    assert only["labels"] == {"task": "signal_check", "class": reason.removeprefix("plan_")}
    assert "不能下发" in only["messages"][1]["content"]
    assert len(explained(imported)) == 1


@pytest.mark.parametrize(
    ("change", "reason", "line"),
    [
        (("40秒,3,2", "四十,3,2"), "plan_number_wrong", 3),
        (("40秒,3,2", "1e3,3,2"), "plan_number_wrong", 3),
        (("40秒,3,2", "999999,3,2"), "plan_number_wrong", 3),
        (("40秒,3,2", ",3,2"), "plan_time_missing", 3),
        (("40秒,3,2", "40,,2"), "plan_time_missing", 3),
        (("早高峰,90", "早高峰,"), "plan_cycle_missing", 2),
        (("\n,,,,2,南北直行,40", "\n,,95,,2,南北直行,40"), "plan_says_two_things", 3),
        (("2,南北直行,40", "1,东西直行,40"), "plan_phase_twice", 2),
        (("2,南北直行,40", ",,40"), "plan_phase_without_name", 3),
        (('500,"1,750"', "-500,1750"), "plan_number_wrong", 3),
    ],
)
def test_what_cannot_be_read_is_refused(import_bytes: Import, change: tuple[str, str], reason: str, line: int) -> None:
    """A cell that is no number, a time that is missing, two statements of one thing: the plan gives no row, the next one does."""
    assert change[0] in LONG
    imported = import_bytes(LONG.replace(*change, 1).encode(), "p.csv")
    assert imported.reasons == [(line, reason)]
    assert {row["source"] for row in imported.rows} == {"p.csv:4"}


def test_problems_are_told_by_the_files_own_headings(import_bytes: Import) -> None:
    """A reason names the column as the file does, and the cell."""
    (listed,) = import_bytes(LONG.replace("40秒,3,2", "四十,3,2").encode(), "p.csv").rejected
    assert listed["parameters"] == {"field": "绿灯时间(s)", "phase": "2 南北直行", "value": "四十"}


def test_a_plan_of_endless_phases_is_refused(import_bytes: Import) -> None:
    """A table without a column that tells plans apart is not one plan of thousands of phases."""
    rows = "".join(f"X,460,{number},20,3\n" for number in range(5000))
    imported = import_bytes(f"路口,周期,相位,绿灯,黄灯\n{rows}Y,46,1,20,3\nY,46,2,20,3\n".encode(), "p.csv")
    assert imported.reasons == [(2, "plan_with_many_phases")]
    assert len(explained(imported)) == 1


def test_an_intersection_has_to_be_named(import_bytes: Import) -> None:
    """The first row of a table cannot mean the row above."""
    imported = import_bytes(LONG.replace("中山路-解放路,早高峰", ",早高峰", 1).encode(), "p.csv")
    assert (2, "plan_without_intersection") in imported.reasons


def test_fields_that_can_be_named_exist() -> None:
    """What ``--column`` accepts is what the importers of traffic know."""
    known = {*signal_plans.FIELDS, *accidents.FIELDS, *alarms122.FIELDS}
    assert set(columns.OF_RECORDS) == known
