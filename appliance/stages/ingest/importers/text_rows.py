"""Rows of one text each, ``{"text": …}``, as collections for continued pre-training have them; every row is a document."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import msgspec

from appliance.domain.document import Document
from appliance.domain.errors import ApplianceError
from appliance.stages.ingest import columns, records
from appliance.stages.ingest.importers.importer import Importer, Reading
from appliance.stages.ingest.refusal import Refused
from appliance.stages.ingest.source import Source
from appliance.stages.ingest.turns import is_blank


class TextRow(msgspec.Struct, gc=False):
    """The part of a row that is read."""

    text: str | None = None


def recognise(source: Source, asked: Mapping[str, str]) -> int:
    """Rows with a text, and no question with its answer."""
    return sum(columns.text_column(list(record), asked) is not None for record in records.sample_of(source))


def read(source: Source, asked: Mapping[str, str]) -> Reading:
    """Rows of JSON lines or of a JSON list."""
    existing = list(dict.fromkeys(key for record in records.sample_of(source) for key in record))
    column = asked.get("text") or columns.text_column(existing, asked) or "text"
    if asked and column not in existing:
        raise ApplianceError("column_missing", column=column, existing=", ".join(existing) or "-")
    row_type = cast("type[TextRow]", msgspec.defstruct("MappedTextRow", [("text", str | None, None)], rename={"text": column}, gc=False))
    return Reading(records.rows_of(source, row_type, _document), {"text": column}, "documents")


def _document(row: TextRow, place: str) -> Document:
    if is_blank(row.text or ""):
        raise Refused("row_without_text")
    return Document(row.text or "", place)


IMPORTER = Importer("text_rows", recognise, read)
