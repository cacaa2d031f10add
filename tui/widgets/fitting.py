"""Rows of a table made to fit the screen: the one cell that is a name gives way, so that nothing beside it is pushed out of sight.

And a table that is filled anew while somebody has a row chosen.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.cells import cell_len, set_cell_size
from textual.widgets import DataTable

from tui.widgets.plain import cell, harmless

SHORTEST = 12
"""Cells of a name that stay in any case."""
PADDING = 2
"""Cells beside the content of each column of a DataTable."""
AROUND = 4
"""Cells of the screen that are not the table's: its scroll bar and the body's padding."""


def shortened(text: str, cells: int) -> str:
    """Beginning and end of a text with ``…`` between them; names that belong together differ at their ends."""
    if cell_len(text) <= cells:
        return text
    end = text
    while cell_len(end) > cells // 2:
        end = end[1:]
    return f"{set_cell_size(text, cells - 1 - cell_len(end)).rstrip()}…{end}"


def fitted(rows: Sequence[Sequence[str]], headings: Sequence[str], name: int, width: int) -> list[list[str]]:
    """The rows with their cell number ``name`` shortened so that all fit into a screen of ``width`` cells."""
    others = sum(max(map(cell_len, column)) + PADDING for place, column in enumerate(zip(headings, *rows, strict=True)) if place != name)
    room = max(SHORTEST, width - AROUND - PADDING - others)
    return [[shortened(harmless(cell), room) if place == name else cell for place, cell in enumerate(row)] for row in rows]


def fill_anew(table: DataTable[Any], keys: Sequence[str], rows: Sequence[Sequence[str]], chosen: str | None = None) -> None:
    """Show these rows and no others; ``chosen`` is the chosen one, or else the one that was, wherever it is now."""
    before, cursor = [row.value for row in table.rows], table.cursor_row
    if chosen is None and 0 <= cursor < len(before):
        chosen = before[cursor]
    table.clear()
    for key, cells in zip(keys, rows, strict=True):
        table.add_row(*map(cell, cells), key=key)
    table.move_cursor(row=keys.index(chosen) if chosen in keys else min(cursor, max(0, len(keys) - 1)))
