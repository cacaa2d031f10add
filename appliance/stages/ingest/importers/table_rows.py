"""From tables to rows: which column is what, and a conversation or a document of every record."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import msgspec

from appliance.domain.conversation import Conversation
from appliance.domain.dataset import Rejected, printable
from appliance.domain.document import Document
from appliance.domain.errors import ApplianceError
from appliance.domain.spreadsheet import unguarded
from appliance.stages.ingest import columns, tables
from appliance.stages.ingest.importers import alpaca
from appliance.stages.ingest.importers.importer import Reading, Row
from appliance.stages.ingest.refusal import Refused, rejected
from appliance.stages.ingest.source import Source
from appliance.stages.ingest.tables import Table
from appliance.stages.ingest.turns import is_blank

MakeRow = Callable[[list[str], str], Conversation | Document]


def fitting(source: Source, asked: Mapping[str, str]) -> int:
    """How many records lie at the beginnings of tables whose columns are understood."""
    found = tables.sample(source, lambda names: columns.understood(names, asked))
    return sum(1 + len(sample.rows) for sample in found if columns.understood(sample.columns, asked))


def reading(source: Source, asked: Mapping[str, str]) -> Reading:
    """Rows of all tables whose columns are understood; the others are listed as rejected, one by one.

    Raises ``source_without_rows``, ``column_missing`` or ``columns_unrecognised`` when there is no such table.
    """

    def wanted(names: list[str]) -> bool:
        return columns.understood(names, asked)

    samples = tables.sample(source, wanted)
    if not samples:
        raise ApplianceError("source_without_rows", name=source.name)
    understood = (sample.columns for sample in samples if columns.understood(sample.columns, asked))
    mapping = _mapping(next(understood, samples[0].columns), asked)
    return Reading(_rows(tables.read(source, wanted), asked), mapping, "documents" if "text" in mapping else "conversations")


def _mapping(names: tuple[str, ...], asked: Mapping[str, str]) -> dict[str, str]:
    text = columns.text_column(names, asked)
    return {"text": text} if text else columns.mapped(names, asked)


def _rows(found: Iterator[Table], asked: Mapping[str, str]) -> Iterator[Row]:
    for table in found:
        try:
            make = _maker(table.columns, _mapping(table.columns, asked))
        except ApplianceError as error:
            yield Rejected(1 + table.above, error.code, error.parameters, printable(table.name), source=table.place)
            continue
        for record in table.rows:
            if isinstance(record, Rejected):
                yield record
                continue
            try:
                yield make(record.cells, record.place)
            except Refused as verdict:
                data = " | ".join(record.cells).encode("utf-8", "surrogatepass")
                yield msgspec.structs.replace(rejected(verdict, record.number, 0, data), source=record.place)


def _maker(names: tuple[str, ...], mapping: Mapping[str, str]) -> MakeRow:
    places = {field: names.index(column) for field, column in mapping.items()}
    if "text" in places:
        place_of_text = places["text"]

        def document(cells: list[str], place: str) -> Document:
            if is_blank(cells[place_of_text]):
                raise Refused("row_without_text")
            return Document(unguarded(cells[place_of_text]), place)

        return document

    def conversation(cells: list[str], place: str) -> Conversation:
        row = alpaca.AlpacaRow()
        for field, at in places.items():
            setattr(row, field, unguarded(cells[at]))
        return Conversation(alpaca.messages_of(row), place)

    return conversation
