"""What importers share that know a table of the police by its headings; the rows are made in ``traffic``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from appliance.domain.conversation import Conversation
from appliance.domain.dataset import Rejected, printable
from appliance.domain.errors import ApplianceError
from appliance.stages.ingest import records, tables
from appliance.stages.ingest.importers.importer import Importer, Reading
from appliance.stages.ingest.media import Medium
from appliance.stages.ingest.source import Source
from appliance.stages.ingest.tables import Table
from appliance.stages.ingest.traffic import headings

MEDIA: tuple[Medium, ...] = ("text", "spreadsheet", "parquet")
"""Files that may hold tables."""
TELLING = 1000
"""Headings that name a source of the police outweigh any number of rows that merely look like a table."""

Fits = Callable[[Sequence[str], headings.Asked], bool]
"""Whether these headings are understood, with what was asked for."""
RowsOf = Callable[[Table, headings.Asked], Iterator[Conversation | Rejected]]


def importer(name: str, fields: headings.Fields, fits: Fits, rows_of: RowsOf, is_readable: Fits | None = None) -> Importer:
    """The importer for tables whose headings ``fits`` knows; ``rows_of`` makes every row of one.

    ``is_readable`` says which headings are enough for a table of a file that is known to be of this form; left out, those that fit.
    """
    suffices = is_readable or fits

    def recognise(source: Source, asked: Mapping[str, str]) -> int:
        # Whoever names question and answer wants the rows as they stand; JSON rows say themselves what they are.
        if not asked.keys() <= fields.keys() or (source.medium == "text" and records.container_of(source) != "other"):
            return 0
        samples = tables.sample(source, lambda names: fits(names, asked))
        return sum(TELLING + len(sample.rows) for sample in samples if fits(sample.columns, asked))

    def read(source: Source, asked: Mapping[str, str]) -> Reading:
        samples = tables.sample(source, lambda names: suffices(names, asked))
        existing = [column for sample in samples for column in sample.columns]
        for column in asked.values():
            if column not in existing:
                raise ApplianceError("column_missing", column=printable(column), existing=printable(", ".join(existing) or "-"))
        readable = (sample.columns for sample in samples if suffices(sample.columns, asked))
        columns = next(readable, ())
        mapping = {field: columns[place] for field, place in headings.places_of(columns, fields, asked).items()}
        return Reading(_rows(source, asked, suffices, rows_of), mapping)

    return Importer(name, recognise, read, media=MEDIA)


def _rows(source: Source, asked: headings.Asked, suffices: Fits, rows_of: RowsOf) -> Iterator[Conversation | Rejected]:
    for table in tables.read(source, lambda names: suffices(names, asked)):
        if suffices(table.columns, asked):
            yield from rows_of(table, asked)
        else:
            parameters = {"existing": printable(", ".join(filter(None, table.columns)) or "-")}
            yield Rejected(1 + table.above, "table_of_another_kind", parameters, printable(table.name))
