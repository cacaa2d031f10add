"""Rows that another stage has changed, looked at again: what was hidden in a tag or between blanks may be readable now."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from appliance.domain.recipe import RedactionRecipe
from appliance.domain.row import Row
from appliance.stages.redact.redactor import Redactor


@dataclass(frozen=True)
class Rechecked:
    """How many rows were looked at again, and what was found in them."""

    rows: int = 0
    finds: int = 0

    def __add__(self, other: Rechecked) -> Rechecked:
        """Both together."""
        return Rechecked(self.rows + other.rows, self.finds + other.finds)

    def facts(self) -> dict[str, int]:
        """For the record of the dataset."""
        return {"rows": self.rows, "finds": self.finds}


def recheck(row: Row) -> Rechecked:
    """Look at one row as it is now. Uncertain finds do not count: a person may have decided to keep them."""
    return Rechecked(1, sum(find.sure for _, find in _redactor().finds(row)))


@cache
def _redactor() -> Redactor:
    """Made once in each process that needs it."""
    return Redactor(RedactionRecipe(), b"", {})
