"""Importers whose rows are recognised by the headings of a table: what they share."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from appliance.domain.conversation import Conversation
from appliance.domain.dataset import Rejected, printable
from appliance.stages.ingest import tables
from appliance.stages.ingest.header import Wanted
from appliance.stages.ingest.importers.importer import Importer, Reading
from appliance.stages.ingest.source import Source
from appliance.stages.ingest.tables import Table

MEDIA = frozenset({"text", "spreadsheet", "parquet"})
"""Files that may hold tables."""
TELLING = 1000
"""Headings that name a source of the police outweigh any number of rows that merely look like a table."""

RowsOf = Callable[[Table], Iterator[Conversation | Rejected]]


def importer(name: str, wanted: Wanted, rows_of: RowsOf, readable: Wanted | None = None) -> Importer:
    """The importer for tables whose headings ``wanted`` knows; ``rows_of`` makes every row of one.

    ``readable`` says which headings are enough for a table of a file that is known to be of this form; left out, only those that are wanted.
    """
    is_readable = readable or wanted

    def recognise(source: Source, asked: Mapping[str, str]) -> int:
        # Whoever names question and answer wants the rows as they stand.
        if asked or source.medium not in MEDIA:
            return 0
        return sum(TELLING + len(sample.rows) for sample in tables.sample(source, wanted) if wanted(list(sample.columns)))

    def read(source: Source, _asked: Mapping[str, str]) -> Reading:
        return Reading(_rows(source, is_readable, rows_of))

    return Importer(name, recognise, read)


def _rows(source: Source, is_readable: Wanted, rows_of: RowsOf) -> Iterator[Conversation | Rejected]:
    for table in tables.read(source, is_readable):
        if is_readable(list(table.columns)):
            yield from rows_of(table)
        else:
            existing = printable(", ".join(filter(None, table.columns)) or "-")
            yield Rejected(line=1 + table.above, reason="table_of_another_kind", parameters={"existing": existing}, excerpt=printable(table.name))
