"""Rows that were not accepted, each with its reason in words and, where it came from another dataset, whole."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from appliance.domain.dataset import ROWS_FILE, Dataset
from appliance.services.datasets import DatasetService
from appliance.texts.speech import say


def whole_rejections(datasets: DatasetService, dataset: Dataset) -> Iterator[dict[str, Any]]:
    """Every rejected row of a dataset in the order of lines: the record, ``why`` in words, and the ``row`` as its source has it."""
    source = datasets.source_of(dataset)
    lines = _lines(Path(source.path) / ROWS_FILE) if source is not None else iter(())
    number, line = next(lines, (0, b""))
    for record in datasets.rejected(dataset.id):
        while number and number < record["line"]:
            number, line = next(lines, (0, b""))
        why = say("problems", record["reason"], **(record.get("parameters") or {}))
        whole = {"row": msgspec.json.decode(line)} if number == record["line"] else {}
        yield {**record, "why": why, **whole}


def _lines(rows: Path) -> Iterator[tuple[int, bytes]]:
    if rows.is_file():
        with rows.open("rb") as file:
            yield from enumerate(file, 1)
