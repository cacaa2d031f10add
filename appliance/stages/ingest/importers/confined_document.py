"""Documents that a reader takes apart in a process of its own: DOCX, PDF and HTML. What the importers of these share."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from appliance.stages.ingest import confined, passages
from appliance.stages.ingest.importers.importer import Importer, Reading
from appliance.stages.ingest.media import Medium
from appliance.stages.ingest.source import Source
from appliance.stages.readers.part import Options

Recognise = Callable[[Source, Mapping[str, str]], int]


def importer(name: str, medium: Medium, recognise: Recognise = lambda _source, _asked: 1) -> Importer:
    """The importer for files of ``medium`` that are read by the reader of the same name as the importer."""

    def read(source: Source, _asked: Mapping[str, str]) -> Reading:
        options = Options(encoding=source.encoding if medium == "text" else "utf-8")
        source.pass_over()
        return Reading(passages.documents(source.name, confined.parts(source, name, options)), kind="documents")

    return Importer(name, recognise, read, media=(medium,))
