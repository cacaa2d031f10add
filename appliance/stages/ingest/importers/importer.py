"""What an importer is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from appliance.domain.conversation import Conversation
from appliance.domain.dataset import DatasetKind, Rejected
from appliance.domain.document import Document
from appliance.stages.ingest.media import Medium
from appliance.stages.ingest.source import Source

Row = Conversation | Document | Rejected


@dataclass(frozen=True)
class Reading:
    """A file that is being read."""

    rows: Iterator[Row]
    """Every row of the file, in its order."""
    columns: Mapping[str, str] = field(default_factory=dict)
    """``{our field: the file's column}`` as it was asked for or guessed, for forms that have columns."""
    kind: DatasetKind = "conversations"
    """What the accepted rows are."""


@dataclass(frozen=True)
class Importer:
    """Reads one form of rows."""

    name: str
    """What ``format`` calls it."""
    recognise: Callable[[Source, Mapping[str, str]], int]
    """How many of the file's first rows look like rows of this form; 0 for a file of another form. The mapping is what was asked for.
    It is asked about files of its media alone."""
    read: Callable[[Source, Mapping[str, str]], Reading]
    """Begins to read a file; the mapping is what was asked for. Raises an ApplianceError for a file that cannot be read as this form."""
    media: tuple[Medium, ...] = ("text", "parquet")
    """Kinds of files that may hold this form."""

    def claims(self, source: Source, asked: Mapping[str, str]) -> int:
        """``recognise`` for a file of one of the media, 0 for others."""
        return self.recognise(source, asked) if source.medium in self.media else 0
