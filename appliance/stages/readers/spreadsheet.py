"""Spreadsheets (XLSX, XLS, XLSB, ODS) by calamine: the values that were last computed, never formulas; merged cells filled.

Every cell becomes the text that a person would type: whole numbers without a decimal point, dates as in ISO 8601.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from python_calamine import CalamineError, CalamineSheet, CalamineWorkbook, PasswordError, SheetTypeEnum

from appliance.stages.readers import archive
from appliance.stages.readers.part import BEGINNING, LONGEST, Options, Part, Rows, Sheet, Unread, Unreadable

ROWS_AT_ONCE = 500
MOST_CELLS = 50_000_000
"""A sheet's used area may have; a library would reserve memory for every one of them."""
MOST_MERGED = 200_000
"""Merged areas that a sheet may have."""


def parts(path: Path, options: Options) -> Iterator[Part]:
    """Every sheet and its rows."""
    archive.refuse_bomb(path)
    try:
        workbook = CalamineWorkbook.from_path(str(path))
        for index, sheet in enumerate(workbook.sheets_metadata):
            if sheet.typ == SheetTypeEnum.WorkSheet:
                yield Sheet(sheet.name)
                yield from _rows(workbook.get_sheet_by_index(index), options.only_beginning)
    except PasswordError as error:
        raise Unreadable("file_encrypted") from error
    except (CalamineError, OSError, ValueError) as error:
        raise Unreadable("file_encrypted" if archive.is_encrypted(path) else "file_damaged") from error


def _rows(sheet: CalamineSheet, only_beginning: bool) -> Iterator[Rows | Unread]:
    if sheet.start is None:
        return
    if sheet.total_height * sheet.total_width > MOST_CELLS:
        raise Unreadable("file_needs_memory", limit=MOST_CELLS)
    merged = _Merged(sheet)
    numbers: list[int] = []
    rows: list[list[str]] = []
    found = size = 0
    for number, cells in enumerate(sheet.iter_rows()):
        row = [cell if isinstance(cell, str) else _text(cell) for cell in cells]
        merged.fill(number, row)
        if not any(row):
            continue
        found += 1
        length = sum(map(len, row))
        if length > LONGEST:
            yield Rows(numbers, rows)
            yield Unread(str(number + 1), number + 1, "row_too_large", {"limit": LONGEST})
            numbers, rows, size = [], [], 0
            continue
        numbers.append(number + 1)
        rows.append(row)
        size += length
        if len(rows) == ROWS_AT_ONCE or size > LONGEST:
            yield Rows(numbers, rows)
            numbers, rows, size = [], [], 0
        if only_beginning and found == BEGINNING:
            break
    if rows:
        yield Rows(numbers, rows)


class _Merged:
    """Gives every cell of a merged area the value of its first one. Rows are counted from the sheet's first, from 0."""

    def __init__(self, sheet: CalamineSheet) -> None:
        # Rows come from the sheet's first one, but their cells only from the first used column on.
        self._before = sheet.start[1] if sheet.start else 0
        areas = sheet.merged_cell_ranges or []
        if len(areas) > MOST_MERGED:
            raise Unreadable("file_needs_memory", limit=MOST_MERGED)
        self._areas = sorted(areas, reverse=True)
        self._open: list[tuple[int, int, int, str]] = []
        """Last row, first column, column behind the last, value."""

    def fill(self, number: int, row: list[str]) -> None:
        """Fill one row in place; to be called for every row in order."""
        while self._areas and self._areas[-1][0][0] <= number:
            (_, left), (bottom, right) = self._areas.pop()
            begin, end = max(0, left - self._before), min(len(row), right - self._before + 1)
            if begin < end and row[begin]:
                self._open.append((bottom, begin, end, row[begin]))
        if self._open:
            for _, begin, end, value in self._open:
                row[begin:end] = [value] * (end - begin)
            self._open = [area for area in self._open if area[0] > number]


def _text(cell: Any) -> str:
    if isinstance(cell, bool):
        return "TRUE" if cell else "FALSE"
    if isinstance(cell, float):
        return str(int(cell)) if cell.is_integer() and abs(cell) < 1e15 else repr(cell)
    if isinstance(cell, dt.datetime):
        return cell.strftime("%Y-%m-%d") if cell.time() == dt.time() else cell.isoformat(" ", "seconds")
    if isinstance(cell, dt.timedelta):
        minutes, seconds = divmod(round(cell.total_seconds()), 60)
        return f"{minutes // 60:02d}:{minutes % 60:02d}:{seconds:02d}"
    return str(cell)
