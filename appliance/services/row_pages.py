"""Rows of a dataset page by page: any page of a million rows without reading those before it twice."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Any

import msgspec

PAGE_ROWS = 100
"""Rows of a page."""


class RowPages:
    """One file of JSON lines. Where pages begin is remembered as they are met, 8 bytes each; one thread uses it at a time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._begins = [0]

    def page(self, number: int) -> list[dict[str, Any]]:
        """The rows of a page, counted from 0, as the file has them; none beyond its end. Raises ``OSError`` if the file is gone."""
        if not self._path.exists():
            return []
        with self._path.open("rb") as lines:
            while len(self._begins) <= number:
                lines.seek(self._begins[-1])
                passed = sum(1 for _ in islice(iter(lines.readline, b""), PAGE_ROWS))
                if passed < PAGE_ROWS:
                    return []
                self._begins.append(lines.tell())
            lines.seek(self._begins[number])
            page = [msgspec.json.decode(line) for line in islice(iter(lines.readline, b""), PAGE_ROWS)]
            if len(page) == PAGE_ROWS and len(self._begins) == number + 1:
                self._begins.append(lines.tell())
            return page
