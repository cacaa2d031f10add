"""Opening a foreign file for reading: one file with its importer, or an archive of files, each with its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from appliance.domain.dataset import DatasetKind, Rejected
from appliance.domain.errors import ApplianceError
from appliance.stages.ingest import columns
from appliance.stages.ingest.importers import choose
from appliance.stages.ingest.importers.importer import Reading, Row
from appliance.stages.ingest.source import Source
from appliance.stages.ingest.unzipping import unpack


@dataclass(frozen=True)
class Opened:
    """What is about to be read."""

    reading: Reading
    format: str
    """Name of the importer, or ``zip``."""
    encoding: str
    """Of a text; empty for what has none."""
    size: int
    """Bytes that progress counts."""
    entries: Mapping[str, int] = field(default_factory=dict)
    """Of an archive: how many files were read by which importer."""


@dataclass(frozen=True)
class _Part:
    """One file of an archive, ready to be read."""

    source: Source
    reading: Reading
    format: str
    number: int


def opened(
    source: Source, asked: str, asked_columns: Mapping[str, str], encoding: str, folder: Path, tell: Callable[[int], None]
) -> Opened:
    """Recognise the file and begin to read it.

    ``folder`` is where an archive is unpacked; whoever made it removes it. ``tell`` hears the progress through an archive's files. Raises
    what ``choose`` and the importer raise; files of an archive that cannot be read are listed as rejected instead.
    """
    if source.medium != "zip":
        importer = choose(source, asked, asked_columns)
        text_encoding = source.encoding if source.medium == "text" else ""
        return Opened(importer.read(source, asked_columns), importer.name, text_encoding, source.size)
    columns.require_fields(asked_columns)
    folder.mkdir()
    source.pass_over()
    parts, left_out = _parts(source, asked, asked_columns, encoding, folder, tell)
    kinds = Counter(part.reading.kind for part in parts)
    kind: DatasetKind = "documents" if kinds["documents"] > kinds["conversations"] else "conversations"
    mapping = next((part.reading.columns for part in parts if part.reading.kind == kind and part.reading.columns), {})
    used = Counter(part.format for part in parts if part.reading.kind == kind)
    return Opened(Reading(_rows(parts, left_out, kind), mapping, kind), "zip", "", sum(part.source.size for part in parts), used)


def _parts(
    source: Source, asked: str, asked_columns: Mapping[str, str], encoding: str, folder: Path, tell: Callable[[int], None]
) -> tuple[list[_Part], list[Rejected]]:
    """The archive's files that can be read, and what is left out of it."""
    parts: list[_Part] = []
    left_out: list[Rejected] = []
    before = 0
    for entry in unpack(source.path, source.name, folder):
        if isinstance(entry, Rejected):
            left_out.append(entry)
            continue
        try:
            file = Source(entry.path, encoding, on_read=_behind(before, tell), name=entry.name)
            if file.medium == "zip":
                left_out.append(Rejected(entry.number, "entry_packed", {}, entry.name, source=entry.name))
                continue
            importer = choose(file, asked, asked_columns)
            parts.append(_Part(file, importer.read(file, asked_columns), importer.name, entry.number))
            before += file.size
        except ApplianceError as error:
            left_out.append(_rejected(error, entry.number, entry.name))
    return parts, left_out


def _behind(before: int, tell: Callable[[int], None]) -> Callable[[int], None]:
    return lambda position: tell(before + position)


def _rows(parts: list[_Part], left_out: list[Rejected], kind: DatasetKind) -> Iterator[Row]:
    yield from left_out
    for part in parts:
        if part.reading.kind != kind:
            yield Rejected(part.number, "entry_of_other_kind", {"format": part.format}, part.source.name, source=part.source.name)
            continue
        try:
            yield from part.reading.rows
        except ApplianceError as error:
            yield _rejected(error, part.number, part.source.name)


def _rejected(error: ApplianceError, number: int, name: str) -> Rejected:
    """A file of an archive that could not be read, or not to its end, as one rejected row."""
    parameters = {key: value for key, value in error.parameters.items() if key not in ("name", "problems")}
    return Rejected(number, error.code, parameters, name, source=name)
