"""Cells that a spreadsheet would take for a formula, made harmless and back.

The rule of OWASP ("CSV Injection"), made reversible: a cell that begins with one of ``= + - @``, their full-width forms, a tab or a line
break gets an apostrophe before it; so does one in which such a character comes after apostrophes. Taking one apostrophe away from a cell
that begins with apostrophes and such a character gives the cell back. All other cells stay as they are, both ways.
"""

from __future__ import annotations

import re

_BEGINS_FORMULA = re.compile(r"'*[=+\-@＝＋－＠\t\r\n]")


def guarded(cell: str) -> str:
    """The cell as a spreadsheet may see it: text and never a formula."""
    return f"'{cell}" if _BEGINS_FORMULA.match(cell) else cell


def unguarded(cell: str) -> str:
    """The cell as it was before ``guarded``."""
    return cell[1:] if cell[:1] == "'" and _BEGINS_FORMULA.match(cell) else cell
