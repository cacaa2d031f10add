"""Rows that another stage has changed, looked at again: what was hidden in a tag or between blanks may be readable now."""

from __future__ import annotations

from appliance.domain.recipe import RedactionRecipe
from appliance.domain.row import Row
from appliance.stages.redact.redactor import Redactor


class Recheck:
    """Counts personal data in rows that were changed."""

    def __init__(self) -> None:
        self._redactor = Redactor(RedactionRecipe(), b"", {})
        self._rows = 0
        self._finds = 0

    def look(self, row: Row) -> None:
        """Look at one row as it is now. Uncertain finds do not count: a person may have decided to keep them."""
        self._rows += 1
        self._finds += sum(find.sure for _, find in self._redactor.finds(row))

    def facts(self) -> dict[str, int]:
        """For the record of the dataset."""
        return {"rows": self._rows, "finds": self._finds}
