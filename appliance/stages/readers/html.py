"""Web pages: their paragraphs, headings and rows of tables; scripts, styles, menus and footers are left out."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

from appliance.stages.readers.part import BEGINNING, LONGEST, Options, Paragraph, Part, Unread, Unreadable

LARGEST = 64 << 20
"""Bytes; the parser keeps the whole page in memory."""
BETWEEN_CELLS = " | "

_NO_TEXT = frozenset(("script", "style", "noscript", "template", "svg", "button", "select", "iframe", "object", "head"))
_AROUND = frozenset(("nav", "footer", "aside"))
"""What stands around the text, where a page says so. A form is none of it: old pages put everything into one."""
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_BLOCKS = frozenset(
    (
        *("p", "div", "section", "article", "main", "header", "body", "ul", "ol", "li", "dl", "dt", "dd", "table", "caption", "tr"),
        *("blockquote", "pre", "figure", "figcaption", "hr", "title", "address", *_HEADINGS),
    )
)


def parts(path: Path, options: Options) -> Iterator[Part]:
    """The paragraphs in their order; a paragraph with bytes that do not belong to the encoding is listed."""
    if path.stat().st_size > LARGEST:
        raise Unreadable("file_needs_memory", limit=LARGEST)
    codecs.register_error("keep_as_surrogates", _keep)
    text = path.read_bytes().decode(options.encoding, "keep_as_surrogates").removeprefix("\ufeff").replace("\0", "")
    # Where nothing is left, something around the text was not closed.
    page = _read(text, _NO_TEXT | _AROUND)
    page = page if page.paragraphs else _read(text, _NO_TEXT)
    for number, (text, level) in enumerate(page.paragraphs, 1):
        place = f"¶{number}"
        if not text.isascii() and any("\ud800" <= char <= "\udfff" for char in text):
            yield Unread(place, number, "row_encoding_broken")
        elif len(text) > LONGEST:
            yield Unread(place, number, "row_too_large", {"limit": LONGEST})
        else:
            yield Paragraph(text, place, number, level)
        if options.only_beginning and number == BEGINNING:
            return


def _read(text: str, silent: frozenset[str]) -> _Page:
    page = _Page(silent)
    page.feed(text)
    page.close()
    page.end_block()
    return page


class _Page(HTMLParser):
    """Collects blocks of text."""

    def __init__(self, silent: frozenset[str]) -> None:
        super().__init__(convert_charrefs=True)
        self._left_out = silent
        self.paragraphs: list[tuple[str, int]] = []
        self._words: list[str] = []
        self._silent: list[str] = []
        """Open elements whose text is left out."""
        self._level = 0
        self._is_kept = 0
        """Open elements that keep their white space."""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in self._left_out:
            self._silent.append(tag)
        elif tag == "br":
            self._words.append("\n")
        elif tag in ("td", "th"):
            self._words.append(BETWEEN_CELLS if self._words else "")
        elif tag in _BLOCKS:
            self.end_block()
            self._level = _HEADINGS.get(tag, 0)
            self._is_kept += tag == "pre"
            # A body that begins ends whatever was left open before it; it need not be said that it begins.
            if tag == "body" or (self._silent == ["head"] and tag != "title"):
                self._silent = []

    def handle_endtag(self, tag: str) -> None:
        if tag in self._left_out:
            if tag in self._silent:
                del self._silent[self._silent.index(tag) :]
        elif tag in _BLOCKS:
            self.end_block()
            self._level = 0
            self._is_kept = max(0, self._is_kept - (tag == "pre"))

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self._words.append(data if self._is_kept else data.replace("\r", " ").replace("\n", " "))

    def end_block(self) -> None:
        """What was read since the last block is a paragraph, if it says anything."""
        text, self._words = "".join(self._words), []
        if not self._is_kept:
            text = "\n".join(" ".join(line.split()) for line in text.split("\n"))
        text = text.strip().removeprefix(BETWEEN_CELLS.strip()).removesuffix(BETWEEN_CELLS.strip()).strip()
        if text:
            self.paragraphs.append((text, self._level))


def _keep(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return "".join(chr(0xDC00 + byte) for byte in error.object[error.start : error.end]), error.end
