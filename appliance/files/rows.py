"""Rows of a dataset's file, each read as what it is or refused with its line."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import msgspec

from appliance.domain.errors import ApplianceError
from appliance.domain.row import Row, row_from_json
from appliance.files.lines import read_lines

RowT = TypeVar("RowT")


def read_rows(path: Path) -> Iterator[tuple[int, int, Row]]:
    """Every row as ``(line from 1, position behind it in bytes, row)``; raises ``rows_damaged``."""
    return read_rows_as(row_from_json, path)


def read_rows_as(decode: Callable[[bytes], RowT], path: Path) -> Iterator[tuple[int, int, RowT]]:
    """``read_rows`` for those who need another reading of a row; ``decode`` raises what msgspec's decoders do."""
    for line, position, data in read_lines(path):
        yield line, position, _parsed(decode, data, path, line)


def parsed_row(data: bytes, path: Path | str, line: int) -> Row:
    """The row of one line of a file; raises ``rows_damaged``."""
    return _parsed(row_from_json, data, path, line)


def _parsed(decode: Callable[[bytes], RowT], data: bytes, path: Path | str, line: int) -> RowT:
    try:
        return decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ApplianceError("rows_damaged", path=str(path), line=line) from error
