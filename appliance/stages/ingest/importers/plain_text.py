"""Plain text and Markdown: documents that end at a heading of Markdown, or at a line when there is enough text for one."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from appliance.stages.ingest import delimited, encoding, passages, pieces, records
from appliance.stages.ingest.importers import html
from appliance.stages.ingest.importers.importer import Importer, Reading
from appliance.stages.ingest.refusal import MAX_ROW_BYTES
from appliance.stages.ingest.source import Source
from appliance.stages.readers.part import Paragraph, Unread

_HEADING = re.compile(r"(#{1,6})\s+\S")


def recognise(source: Source, asked: Mapping[str, str]) -> int:
    """Text by its name that is neither a table nor rows of JSON."""
    if asked or not source.is_prose_by_name or delimited.best_delimiter(source).is_even or html.recognise(source, asked):
        return 0
    if not encoding.makes_sense(next(source.peek(), b"").decode("utf-8", "ignore")):
        return 0
    if records.container_of(source) == "other":
        return int(not records.is_json_value(source))
    return int(Path(source.name).suffix != "" and not records.looks_like_rows(source))


def read(source: Source, _asked: Mapping[str, str]) -> Reading:
    """Line by line."""
    is_markdown = Path(source.name).suffix.lower() in (".md", ".markdown")
    return Reading(passages.documents(source.name, _lines(source, is_markdown)), kind="documents")


def _lines(source: Source, is_markdown: bool) -> Iterator[Paragraph | Unread]:
    for line, _, data, problem in pieces.physical_lines(source.blocks()):
        if problem:
            yield Unread(str(line), line, problem, {"limit": MAX_ROW_BYTES})
            continue
        if b"\0" in data:
            yield Unread(str(line), line, "row_control_bytes")
            continue
        try:
            text = data.decode().rstrip("\r")
        except UnicodeDecodeError:
            yield Unread(str(line), line, "row_encoding_broken")
            continue
        heading = _HEADING.match(text) if is_markdown else None
        yield Paragraph(text, str(line), line, len(heading[1]) if heading else 0)


IMPORTER = Importer("text", recognise, read, media=("text",))
