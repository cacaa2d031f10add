"""From paragraphs and pages to documents: text that belongs together stays together.

A page is a document by itself. Paragraphs are gathered until the next heading, or until there is enough text for one; a document names the
place of its first one. Nothing of the text is changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from appliance.domain.dataset import Rejected, printable
from appliance.domain.document import Document
from appliance.stages.ingest.refusal import MAX_ROW_BYTES
from appliance.stages.readers.part import Paragraph, Part, Unread

ENOUGH = 4000
"""Characters of one document, unless a single paragraph has more."""


def documents(name: str, parts: Iterable[Part]) -> Iterator[Document | Rejected]:
    """The documents of a file that rows call ``name``, and what was left out of it."""
    gathered = _Gathered(name)
    for part in parts:
        if isinstance(part, Unread):
            yield Rejected(part.number, part.reason, part.parameters, "", source=f"{name}:{part.place}")
        elif isinstance(part, Paragraph):
            if part.page or (part.level and gathered.has_text) or gathered.size + len(part.text) > ENOUGH:
                yield from gathered.given_out()
            gathered.add(part)
            if part.page:
                yield from gathered.given_out()
    yield from gathered.given_out()


class _Gathered:
    """Paragraphs that wait for the end of their document."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._texts: list[str] = []
        self._first: Paragraph | None = None
        self.size = 0
        """Characters."""
        self.has_text = False
        """Something besides headings was gathered."""

    def add(self, paragraph: Paragraph) -> None:
        """Take one more."""
        self._first = self._first or paragraph
        self._texts.append(paragraph.text)
        self.size += len(paragraph.text) + 1
        self.has_text = self.has_text or not paragraph.level

    def given_out(self) -> Iterator[Document | Rejected]:
        """What was gathered, as one document; nothing when nothing was."""
        first, text = self._first, "\n".join(self._texts)
        self._first, self._texts, self.size, self.has_text = None, [], 0, False
        if first is None or not text.strip():
            return
        place = f"{self._name}:{first.place}"
        if len(text) * 4 > MAX_ROW_BYTES and len(text.encode("utf-8", "surrogatepass")) > MAX_ROW_BYTES:
            yield Rejected(first.number, "row_too_large", {"limit": MAX_ROW_BYTES}, printable(text), source=place)
        else:
            yield Document(text, place)
