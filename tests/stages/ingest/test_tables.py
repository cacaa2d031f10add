"""Tables of spreadsheets and text: headings are found, merged cells filled, and every record knows its place."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from appliance.domain.errors import ApplianceError
from appliance.stages.ingest import tables
from appliance.stages.ingest.header import find_header
from appliance.stages.ingest.source import Source
from tests.stages.ingest.hostile import parquet
from tests.stages.ingest.office import Cell, workbook

Import = Callable[..., Any]


def opened(folder: Path, data: bytes, name: str) -> Source:
    """A file of these bytes."""
    (folder / name).write_bytes(data)
    return Source(folder / name, "auto", on_read=lambda _position: None)


def read(source: Source) -> list[tuple[str, tuple[str, ...], int, list[tuple[str, list[str]]]]]:
    """Name, columns, records above the heading and good rows of every table."""
    return [
        (table.name, table.columns, table.above, [(row.place, row.cells) for row in table.rows if isinstance(row, tables.TableRow)])
        for table in tables.read(source)
    ]


def test_sheets_with_titles_and_merged_cells(tmp_path: Path) -> None:
    """A title above the heading is passed over, merged cells are filled, values read as a person sees them, empty sheets left out."""
    rows: list[list[Cell]] = [
        ["一月接警记录", None, None, None],
        ["区域", "时间", "次数", "比例"],
        ["东城", "2025-01-02", 3, 0.5],
        [None, "2025-01-03", 12345678901, 1e3],
        [None, None, None, None],
        ["西城", "x", 1, 2],
    ]
    source = opened(tmp_path, workbook(("接警", rows), ("空", []), merged=["A1:D1", "A3:A4"]), "a.xlsx")
    assert read(source) == [
        (
            "接警",
            ("区域", "时间", "次数", "比例"),
            1,
            [
                ("a.xlsx:接警:3", ["东城", "2025-01-02", "3", "0.5"]),
                ("a.xlsx:接警:4", ["东城", "2025-01-03", "12345678901", "1000"]),
                ("a.xlsx:接警:6", ["西城", "x", "1", "2"]),
            ],
        )
    ]
    assert tables.sample(source)[0].columns == ("区域", "时间", "次数", "比例")


def test_table_that_does_not_begin_in_the_corner(tmp_path: Path) -> None:
    """Empty rows above the table count in the places of its rows."""
    source = opened(tmp_path, workbook(("s", [[None, "甲", "乙"], [None, "1", "2"]]), first=5), "a.xlsx")
    assert read(source) == [("s", ("甲", "乙"), 0, [("a.xlsx:s:6", ["1", "2"])])]


@pytest.mark.parametrize("codec", ["utf-8-sig", "gb18030", "utf-16"])
@pytest.mark.parametrize("sign", [",", "\t", ";", "|"])
def test_delimited_text(tmp_path: Path, codec: str, sign: str) -> None:
    """Any delimiter and encoding; a title line above the heading is passed over."""
    text = f"一月接警记录\n时间{sign}地点\n早{sign}甲路\n晚{sign}乙路\n"
    assert read(opened(tmp_path, text.encode(codec), "a.csv")) == [
        ("", ("时间", "地点"), 1, [("a.csv:3", ["早", "甲路"]), ("a.csv:4", ["晚", "乙路"])])
    ]


HEADINGS: dict[str, tuple[list[list[str]], tuple[int, int, tuple[str, ...]]]] = {
    "first": ([["a", "b"], ["1", "2"]], (0, 1, ("a", "b"))),
    "below a title": ([["t", "", ""], ["a", "b", "c"], ["1", "2", "3"]], (1, 2, ("a", "b", "c"))),
    "below a merged title": ([["t", "t", "t"], ["a", "b", "c"], ["1", "2", "3"]], (1, 2, ("a", "b", "c"))),
    "in two rows": (
        [["路口", "南北", "南北", "东西", "东西"], ["路口", "绿", "黄", "绿", "黄"], ["甲", "30", "3", "25", "3"]],
        (0, 2, ("路口", "南北 绿", "南北 黄", "东西 绿", "东西 黄")),
    ),
    "of years": ([["路口", "2024", "2025"], ["甲", "1", "2"]], (0, 1, ("路口", "2024", "2025"))),
}


@pytest.mark.parametrize("kind", HEADINGS)
def test_headings_are_found(kind: str) -> None:
    """Titles and groups above the names are not taken for them."""
    records, expected = HEADINGS[kind]
    found = find_header(records, lambda _names: False)
    assert found is not None
    assert (found.first, found.end, found.names) == expected


def test_rows_of_several_sheets(import_bytes: Import) -> None:
    """Rows of all sheets that are understood are imported; a sheet of another kind is listed."""
    data = workbook(("甲", [["提问", "答复"], ["q", "a"]]), ("乙", [["标题", "内容"], ["q", ""]]), ("丙", [["x", "y"], ["1", "2"]]))
    imported = import_bytes(data, name="a.xlsx")
    assert imported.turns == [[("user", "q"), ("assistant", "a")]]
    assert [(row["source"], row["reason"]) for row in imported.rejected] == [
        ("a.xlsx:乙:2", "row_without_answer"),
        ("a.xlsx:丙", "columns_unrecognised"),
    ]


def test_columns_can_be_named(import_bytes: Import) -> None:
    """Columns of a spreadsheet that nobody could guess are named; one that is not there is told with those that are."""
    data = workbook(("s", [["标题行", None], ["来电", "处理"], ["q", "a"]]))
    assert import_bytes(data, columns={"instruction": "来电", "output": "处理"}).turns == [[("user", "q"), ("assistant", "a")]]
    with pytest.raises(ApplianceError, match="column_missing"):
        import_bytes(data, name="b.xlsx", columns={"instruction": "来", "output": "处理"})
    with pytest.raises(ApplianceError, match="columns_unrecognised"):
        import_bytes(data, name="c.xlsx")


def test_format_must_fit_the_file(import_bytes: Import) -> None:
    """Asking for a form that this kind of file cannot hold is one error, and a file too large for its form another."""
    with pytest.raises(ApplianceError, match="format_unfit"):
        import_bytes(workbook(("s", [["问题", "回答"], ["q", "a"]])), format="alpaca")


def test_cells_without_end(import_bytes: Import) -> None:
    """A row that is longer than any row may be is listed, and those around it are read; so it is in Parquet."""
    rows: list[list[Cell]] = [["问题", "回答"], ["q", "a"], ["长" * 1_100_000, "a"], ["q", "b"]]
    imported = import_bytes(workbook(("s", rows)))
    assert imported.reasons == [(3, "row_too_large")]
    assert [turns[1][1] for turns in imported.turns] == ["a", "b"]
    columns = [{"问题": str(question), "回答": str(answer)} for question, answer in rows[1:]]
    imported = import_bytes(parquet(columns), name="a.parquet")
    assert imported.reasons == [(2, "row_too_large")]
    assert [(row["source"], row["messages"][1]["content"]) for row in imported.rows] == [("a.parquet:1", "a"), ("a.parquet:3", "b")]
